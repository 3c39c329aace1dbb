#include "epskew/report/link_model.hpp"

#include <gtest/gtest.h>

namespace epskew {
namespace {

/// Three ranks; rank 2 sends little and takes in most.
RoutingLoad hot_receiver() {
  RoutingLoad load;
  load.selections = {9, 1, 6,  //
                     2, 9, 5,  //
                     1, 1, 9};
  load.messages = {9, 1, 4,  //
                   1, 9, 2,  //
                   1, 1, 9};
  load.rank = measure_loads(std::vector<std::int64_t>{12, 11, 20});
  return load;
}

ExchangeOptions bf16() {
  ExchangeOptions options;
  options.dispatch = DispatchFormat::bf16;
  return options;
}

TEST(LinkModel, TheBusiestDirectionMayBeTheReceiversAndLocalCopiesAreFree) {
  const auto times =
      link_times(hot_receiver(), {{"dispatch", "selections"}, {"combine", "selections"}}, 128, bf16(), 2);

  EXPECT_EQ(times.at("dispatch").bytes, 11 * 256);  // into rank 2
  EXPECT_EQ(times.at("combine").bytes, 11 * 256);   // out of rank 2
  EXPECT_EQ(times.at("dispatch_combine").bytes, 22 * 256);
  EXPECT_DOUBLE_EQ(times.at("dispatch").us, 11 * 256 / 2e3);
}

TEST(LinkModel, MessagesCountWhereTheyTravel) {
  const auto times =
      link_times(hot_receiver(), {{"dispatch", "messages"}, {"combine", "selections"}}, 128, bf16(), 50);

  EXPECT_EQ(times.at("dispatch").bytes, 6 * 256);
  EXPECT_EQ(times.at("combine").bytes, 11 * 256);
}

TEST(LinkModel, TextsSayEmulationAndThatNothingWasMeasured) {
  Record record;
  EXPECT_EQ(emulation_text(record), "");
  EXPECT_EQ(link_model_text(record), "");
  record.emulation = EmulationRecord{1, 8};
  record.link_assumption = LinkAssumptionRecord{450, "somewhere"};

  EXPECT_EQ(emulation_text(record), "8 ranks on 1 GPU; no measured time holds a link between GPUs");
  EXPECT_EQ(link_model_text(record),
            "bytes of the busiest link direction / 450 GB/s, not measured; somewhere");
}

TEST(Simulation, TextSaysThatNothingWasMeasuredAndWhetherRowsHeldData) {
  Record record;
  EXPECT_EQ(simulation_text(record), "");
  record.simulation = SimulationRecord{"a simulator", "a machine", false};
  EXPECT_EQ(simulation_text(record),
            "all times are computed by a simulator for a machine; none was measured");
  record.simulation->payload_folded = true;
  EXPECT_NE(simulation_text(record).find("the oracle did not look"), std::string::npos);
}

}  // namespace
}  // namespace epskew
