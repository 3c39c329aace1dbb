#include "backends/cpu/dispatch_direct.hpp"

namespace epskew::cpu {

void DirectDispatch::send(const Operation& operation) {
  const std::size_t bytes = operation.payload_bytes();
  const std::size_t scales = operation.scales_bytes();
  const bool push_or_prereduce = operation.variants.combine != CombineVariant::pull;
  const bool prereduce = operation.variants.combine == CombineVariant::prereduce;
  for (int token = 0; token < operation.num_tokens(); ++token) {
    operation.for_each_selection(token, [&](const Operation::Selection& selection) {
      const ArenaView& to = operation.arenas[static_cast<std::size_t>(selection.rank)];
      caster_.add_place(to.rows() + selection.row * bytes, to.scales() + selection.row * scales);
      to.source_token()[selection.row] = token;
      if (push_or_prereduce) to.source_slot()[selection.row] = selection.slot;
      if (prereduce) to.source_weight()[selection.row] = selection.weight;
    });
    caster_.send(operation, token);
  }
}

void DirectDispatch::describe(const Operation& operation, DispatchOutput& output) const {
  const auto rows = static_cast<std::size_t>(operation.plan.num_rows());
  describe_payload(operation, operation.mine().rows(), operation.mine().scales(), rows, output);
  output.source_token = {operation.mine().source_token(), rows};
}

}  // namespace epskew::cpu
