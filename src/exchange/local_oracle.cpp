#include "epskew/exchange/local_oracle.hpp"

#include "epskew/support/parallel.hpp"

namespace epskew {
namespace {

int num_local(const Exchange& exchange) {
  return static_cast<int>(exchange.local_ranks().size());
}

int rank_of(const Exchange& exchange, int local) {
  return exchange.local_ranks()[static_cast<std::size_t>(local)];
}

std::vector<DispatchOutput> dispatch_outputs(Exchange& exchange, int batch) {
  std::vector<DispatchOutput> outputs;
  for (int local = 0; local < num_local(exchange); ++local) {
    outputs.push_back(exchange.dispatch_output(local, batch));
  }
  return outputs;
}

/// [local] check(local)
template <class Check>
LocalMismatches check_each(const Exchange& exchange, Check&& check) {
  LocalMismatches wrong(exchange.local_ranks().size());
  for_each_in_parallel(num_local(exchange),
                       [&](int local) { wrong[static_cast<std::size_t>(local)] = check(local); });
  return wrong;
}

}  // namespace

void set_inputs(Exchange& exchange, int batch, Oracle& oracle) {
  // The first call makes the data, later ones only return it.
  for_each_in_parallel(num_local(exchange), [&](int local) { oracle.input(rank_of(exchange, local)); });
  for (int local = 0; local < num_local(exchange); ++local) {
    exchange.set_input(local, batch, oracle.input(rank_of(exchange, local)));
  }
}

LocalMismatches check_counts(Exchange& exchange, int batch, const Oracle& oracle) {
  const std::vector<DispatchOutput> outputs = dispatch_outputs(exchange, batch);
  return check_each(exchange, [&](int local) {
    return oracle.check_counts(rank_of(exchange, local), outputs[static_cast<std::size_t>(local)]);
  });
}

LocalMismatches check_dispatches(Exchange& exchange, int batch, const Oracle& oracle) {
  const std::vector<DispatchOutput> outputs = dispatch_outputs(exchange, batch);
  return check_each(exchange, [&](int local) {
    return oracle.check_dispatch(rank_of(exchange, local), outputs[static_cast<std::size_t>(local)]);
  });
}

void apply_experts(Exchange& exchange, int batch, const Oracle& oracle, const LocalMismatches& wrong) {
  struct Work {
    int local;
    DispatchOutput output;
    std::span<BFloat16> results;
  };
  std::vector<Work> works;
  for (int local = 0; local < num_local(exchange); ++local) {
    if (wrong[static_cast<std::size_t>(local)]) continue;
    const DispatchOutput output = exchange.dispatch_output(local, batch);
    works.push_back({local, output, exchange.expert_output(local, batch)});
  }
  for_each_in_parallel(static_cast<int>(works.size()), [&](int i) {
    const Work& work = works[static_cast<std::size_t>(i)];
    oracle.apply_experts(rank_of(exchange, work.local), work.output, work.results);
  });
  for (const Work& work : works) exchange.commit_expert_output(work.local, batch);
}

LocalMismatches check_combines(Exchange& exchange, int batch, const Oracle& oracle) {
  std::vector<std::span<const BFloat16>> outputs;
  for (int local = 0; local < num_local(exchange); ++local) {
    outputs.push_back(exchange.combine_output(local, batch));
  }
  return check_each(exchange, [&](int local) {
    return oracle.check_combine(rank_of(exchange, local), outputs[static_cast<std::size_t>(local)]);
  });
}

}  // namespace epskew
