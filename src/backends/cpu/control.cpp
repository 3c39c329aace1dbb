#include "backends/cpu/control.hpp"

#include <array>

#include "backends/cpu/row_plan.hpp"
#include "backends/cpu/wait.hpp"

namespace epskew::cpu {
namespace {

constexpr int parities = 2;
constexpr int kinds = 2;

}  // namespace

const char* name_of(Activity activity) {
  constexpr std::array names = {"its own work", "dispatch_send", "dispatch_recv", "combine_send",
                                "combine_recv", "align",         "its end"};
  return names[static_cast<std::size_t>(activity)];
}

Control::Control(const ExchangeShape& shape, const ExchangeOptions& options)
    : num_ranks_(shape.num_ranks), num_counts_(num_counts(shape)) {
  memory_ = SharedMemory(lay_out(options.micro_batches));
}

Control::Control(const ExchangeShape& shape, const ExchangeOptions& options,
                 const std::filesystem::path& path)
    : num_ranks_(shape.num_ranks), num_counts_(num_counts(shape)) {
  memory_ = SharedMemory(path, lay_out(options.micro_batches));
}

std::size_t Control::lay_out(int micro_batches) {
  const auto ranks = static_cast<std::size_t>(num_ranks_);
  const auto batches = static_cast<std::size_t>(micro_batches);
  ranks_ = cache_line;
  flags_ = ranks_ + ranks * sizeof(RankControl);
  counts_flags_ = flags_ + batches * kinds * ranks * ranks * sizeof(Flag);
  counts_ = counts_flags_ + batches * parities * ranks * sizeof(Flag);
  return counts_ + batches * parities * ranks * num_counts_ * sizeof(std::uint32_t);
}

Flag& Control::flag(FlagKind kind, int batch, int destination, int source) const {
  const int index =
      ((batch * kinds + static_cast<int>(kind)) * num_ranks_ + destination) * num_ranks_ + source;
  return at<Flag>(flags_)[index];
}

Flag& Control::counts_flag(int batch, int parity, int source) const {
  return at<Flag>(counts_flags_)[(batch * parities + parity) * num_ranks_ + source];
}

std::span<std::uint32_t> Control::counts(int batch, int parity, int source) const {
  const auto row = static_cast<std::size_t>((batch * parities + parity) * num_ranks_ + source);
  return {at<std::uint32_t>(counts_) + row * num_counts_, num_counts_};
}

void Control::ring(int rank) const {
  RankControl& control = this->rank(rank);
  // Pairs with the fence of the sleeper: either it sees the flag, or this sees it sleeping.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (control.sleeping.load(std::memory_order_relaxed) == 0) return;
  control.doorbell.fetch_add(1, std::memory_order_release);
  futex_wake(control.doorbell);
}

void Control::ring_all() const {
  for (int rank = 0; rank < num_ranks_; ++rank) ring(rank);
}

}  // namespace epskew::cpu
