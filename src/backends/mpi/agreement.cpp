#include "backends/mpi/agreement.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>

#include "backends/mpi/library.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

using Hash = std::array<unsigned char, 16>;

/// In canonical byte order, so that equal data is equal on every machine.
Hash hash(const std::string& data) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data.data(), data.size()));
  Hash out;
  static_assert(sizeof(canonical.digest) == out.size());
  std::memcpy(out.data(), canonical.digest, out.size());
  return out;
}

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The command line without its first word: the program may lie elsewhere on another host.
std::string arguments() {
  const std::string line = read_file("/proc/self/cmdline");
  const auto end = line.find('\0');
  return end == std::string::npos ? std::string() : line.substr(end + 1);
}

std::string describe(const ExchangeShape& shape, const ExchangeOptions& options) {
  std::string text = fmt::format("{} {} {} {} {} | {} {} {} {}", shape.num_ranks, shape.num_experts,
                                 shape.topk, shape.hidden, shape.max_tokens, name_of(options.dispatch),
                                 name_of(options.combine), options.micro_batches, options.timeout.count());
  for (const auto& [name, value] : options.variants) text += fmt::format(" {}={}", name, value);
  return text;
}

template <class T>
std::vector<T> gather_all(Control& control, MPI_Comm comm, const T& mine) {
  std::vector<T> all(static_cast<std::size_t>(control.size()));
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgather(&mine, sizeof(T), MPI_BYTE, all.data(), sizeof(T), MPI_BYTE, comm, &request),
        "MPI_Iallgather");
  control.wait(request);
  return all;
}

}  // namespace

Identity identify(const ExchangeShape& shape, const ExchangeOptions& options) {
  static const Hash program = hash(read_file("/proc/self/exe"));  // many megabytes
  return {std::bit_cast<std::array<unsigned char, 4>>(std::uint32_t{0x01020304}), program, hash(arguments()),
          hash(describe(shape, options))};
}

std::optional<Disagreement> find_disagreement(const std::vector<Identity>& all) {
  for (std::size_t i = 1; i < all.size(); ++i) {
    const int rank = static_cast<int>(i);
    if (all[i].byte_order != all[0].byte_order)
      return Disagreement{rank, "stores numbers in another byte order"};
    if (all[i].program != all[0].program) return Disagreement{rank, "runs another build of the program"};
    if (all[i].arguments != all[0].arguments) return Disagreement{rank, "was started with other arguments"};
    if (all[i].exchange != all[0].exchange)
      return Disagreement{rank, "is set to another exchange shape or options"};
  }
  return std::nullopt;
}

void require_same_job(Control& control, MPI_Comm comm, const ExchangeShape& shape,
                      const ExchangeOptions& options) {
  control.enter("comparing programs");
  const auto different = find_disagreement(gather_all(control, comm, identify(shape, options)));
  if (!different) return;
  throw UsageError(
      fmt::format("{} {} than rank 0 (all processes of a job must do the same); start the same program "
                  "with the same arguments everywhere",
                  control.name_of(different->rank), different->what));
}

void require_same(Control& control, MPI_Comm comm, const std::string& what, const std::string& value) {
  control.enter("comparing values");
  const std::vector<Hash> all = gather_all(control, comm, hash(value));
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    throw UsageError(
        fmt::format("{} has another {} than rank 0 (every process makes its own and they must agree); "
                    "give every process the same files and arguments",
                    control.name_of(static_cast<int>(rank)), what));
  }
}

}  // namespace epskew::mpi
