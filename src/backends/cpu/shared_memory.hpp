#pragma once

/// Memory that processes forked later share, and others that are told where it is: an unnamed file, so there
/// is nothing to leave behind.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <utility>

namespace epskew::cpu {

enum class Pages {
  large,  ///< as large as the kernel gives them: see huge_file.hpp
  small
};

class SharedMemory {
 public:
  SharedMemory() = default;
  /// Sets `bytes` of address space aside; pages come with first use. Throws EnvironmentError.
  explicit SharedMemory(std::size_t bytes, Pages pages = Pages::small);
  /// Memory of another process, by its path(). Throws EnvironmentError, also where it has another size.
  SharedMemory(const std::filesystem::path& path, std::size_t bytes);
  SharedMemory(SharedMemory&& other) noexcept { swap(other); }
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  /// Where other processes of this user find it, as long as this process lives.
  std::filesystem::path path() const;
  /// Bytes of pages in use, by all processes together.
  std::int64_t touched() const;
  /// Gives all pages back: reads as zeros afterwards.
  void clear();

 private:
  void map();
  void swap(SharedMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(file_, other.file_);
  }
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  int file_ = -1;
};

}  // namespace epskew::cpu
