#include "backends/mpi/auto_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backends/mpi/library.hpp"

namespace epskew::mpi {

AutoExchange::AutoExchange(const Setting& setting, std::vector<Candidate> candidates)
    : MpiExchange(setting),
      candidates_(std::move(candidates)),
      batches_(static_cast<std::size_t>(setting.options.micro_batches)),
      us_(candidates_.size(), 0) {}

void AutoExchange::set_input(int local, int batch, const RankInput& rank_input) {
  for (Candidate& candidate : candidates_) {
    if (candidate.exchange) candidate.exchange->set_input(local, batch, rank_input);
  }
}

template <class Call>
void AutoExchange::timed(int batch, Call&& call) {
  const auto start = std::chrono::steady_clock::now();
  call(current(batch));
  at(batch).phases_us +=
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

std::size_t AutoExchange::next_candidate(const Batch& state) const {
  if (decided_) return chosen_;
  return std::min(static_cast<std::size_t>(state.operations / operations_each), candidates_.size() - 1);
}

void AutoExchange::dispatch_send(int batch) {
  const bool all_tried = at(0).operations == operations_each * static_cast<int>(candidates_.size());
  if (batch == 0 && !decided_ && all_tried) decide();
  Batch& state = at(batch);
  state.candidate = next_candidate(state);
  if (!decided_) tried_ = true;
  state.phases_us = 0;
  ++state.operations;
  timed(batch, [&](MpiExchange& exchange) { exchange.dispatch_send(batch); });
}

void AutoExchange::dispatch_recv(int batch) {
  timed(batch, [&](MpiExchange& exchange) { exchange.dispatch_recv(batch); });
}

void AutoExchange::combine_send(int batch) {
  timed(batch, [&](MpiExchange& exchange) { exchange.combine_send(batch); });
}

void AutoExchange::combine_recv(int batch) {
  timed(batch, [&](MpiExchange& exchange) { exchange.combine_recv(batch); });
  if (batch == 0 && !decided_) us_[at(0).candidate] = at(0).phases_us;
}

void AutoExchange::decide() {
  control().enter("choosing the exchange");
  MPI_Request request = MPI_REQUEST_NULL;
  std::vector<double> slowest(us_.size());
  check(MPI_Iallreduce(us_.data(), slowest.data(), static_cast<int>(us_.size()), MPI_DOUBLE, MPI_MAX, comm(),
                       &request),
        "MPI_Iallreduce");
  control().wait(request);
  us_ = slowest;
  chosen_ = static_cast<std::size_t>(std::min_element(us_.begin(), us_.end()) - us_.begin());
  decided_ = true;
  if (batches_.size() > 1) return;  // another micro-batch may still be with one of the others
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (i != chosen_) candidates_[i].exchange.reset();
  }
}

std::vector<std::string> AutoExchange::choices() const {
  if (!decided_) return {"exchange: not chosen yet (too few operations); the last one tried was used"};
  std::string tried;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    tried += fmt::format("{}{} {:.0f} us", i == 0 ? "" : ", ", candidates_[i].name, us_[i]);
  }
  return {fmt::format("exchange: {}, chosen by its second operation on the slowest rank ({})",
                      candidates_[chosen_].name, tried)};
}

DispatchOutput AutoExchange::dispatch_output(int local, int batch) {
  return current(batch).dispatch_output(local, batch);
}

std::span<BFloat16> AutoExchange::expert_output(int local, int batch) {
  return current(batch).expert_output(local, batch);
}

std::span<const BFloat16> AutoExchange::combine_output(int local, int batch) {
  return current(batch).combine_output(local, batch);
}

MemoryUse AutoExchange::memory(int local) const {
  MemoryUse use;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.exchange) continue;
    const MemoryUse its = candidate.exchange->memory(local);
    use.reserved += its.reserved;
    use.touched += its.touched;
  }
  return use;
}

WireCopies AutoExchange::copies() {
  const bool tried = std::exchange(tried_, false);
  if (tried || !decided_) return {Copies::uncounted, Copies::uncounted};
  return candidates_[chosen_].exchange->copies();
}

}  // namespace epskew::mpi
