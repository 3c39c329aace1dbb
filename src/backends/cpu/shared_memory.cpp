#include "backends/cpu/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "backends/cpu/huge_file.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cpu {

SharedMemory::SharedMemory(std::size_t bytes, Pages pages) : bytes_(bytes) {
  if (pages == Pages::large) file_ = open_huge_file();
  if (file_ < 0) file_ = memfd_create("epskew", MFD_CLOEXEC);
  if (file_ < 0) throw_errno("memfd_create");
  if (ftruncate(file_, static_cast<off_t>(bytes)) != 0) {
    close(file_);
    throw_errno("ftruncate of shared memory");
  }
  map();
  // For a memfd it counts where shmem_enabled is "advise"; elsewhere it is refused or changes nothing.
  if (pages == Pages::large) madvise(data_, bytes, MADV_HUGEPAGE);
}

SharedMemory::SharedMemory(const std::filesystem::path& path, std::size_t bytes) : bytes_(bytes) {
  file_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0) throw_errno("open of " + path.string());
  struct stat status {};
  if (fstat(file_, &status) != 0 || static_cast<std::size_t>(status.st_size) != bytes) {
    close(file_);
    throw EnvironmentError("shared memory " + path.string() + " has another size than this process expects");
  }
  map();
}

void SharedMemory::map() {
  void* const mapped = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_, 0);
  if (mapped == MAP_FAILED) {
    close(file_);
    throw_errno("mmap of shared memory");
  }
  data_ = static_cast<std::byte*>(mapped);
}

std::filesystem::path SharedMemory::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(file_);
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, bytes_);
  if (file_ >= 0) close(file_);
}

std::int64_t SharedMemory::touched() const {
  struct stat status {};
  if (fstat(file_, &status) != 0) throw_errno("fstat of shared memory");
  return static_cast<std::int64_t>(status.st_blocks) *
         512;  // st_blocks counts 512-byte units whatever the page size
}

void SharedMemory::clear() {
  if (fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes_)) != 0) {
    throw_errno("fallocate of shared memory");
  }
}

}  // namespace epskew::cpu
