#include "backends/cuda/job.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

#include "epskew/support/launcher.hpp"

namespace epskew::cuda {
namespace {

using Variables = std::map<std::string, std::string>;

std::optional<Job> job_in(const Variables& variables) {
  return find_job([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(CudaJob, OutsideOfALauncherThereIsNone) {
  EXPECT_FALSE(job_in({}));
  EXPECT_FALSE(job_in({{"RANK", "0"}}));
  EXPECT_FALSE(job_in({{"RANK", "0"}, {"WORLD_SIZE", "1"}}));
  EXPECT_FALSE(job_in({{"RANK", "2"}, {"WORLD_SIZE", "2"}}));
  EXPECT_FALSE(job_in({{"RANK", "x"}, {"WORLD_SIZE", "2"}}));
}

TEST(CudaJob, TorchrunIsUnderstood) {
  const auto job = job_in({{"RANK", "3"},
                           {"WORLD_SIZE", "4"},
                           {"LOCAL_RANK", "1"},
                           {"LOCAL_WORLD_SIZE", "2"},
                           {"MASTER_ADDR", "localhost"},
                           {"MASTER_PORT", "29500"}});

  ASSERT_TRUE(job);
  EXPECT_EQ(job->rank, 3);
  EXPECT_EQ(job->size, 4);
  EXPECT_EQ(job->local_rank, 1);
  EXPECT_EQ(job->local_size, 2);
  EXPECT_EQ(job->launcher, "torchrun");
  EXPECT_EQ(job->name, "-localhost-29500");
}

TEST(CudaJob, OpenMpiIsUnderstood) {
  const auto job = job_in({{"OMPI_COMM_WORLD_RANK", "1"},
                           {"OMPI_COMM_WORLD_SIZE", "2"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                           {"PMIX_NAMESPACE", "1234"}});

  ASSERT_TRUE(job);
  EXPECT_EQ(job->rank, 1);
  EXPECT_EQ(job->launcher, "Open MPI");
  EXPECT_EQ(job->name, "-1234");
}

// MPICH's launcher names no job: its processes have one parent.
TEST(CudaJob, PmiIsUnderstoodWithoutAName) {
  const auto job = job_in({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}});

  ASSERT_TRUE(job);
  EXPECT_EQ(job->local_rank, 0);
  EXPECT_EQ(job->local_size, 2);
  EXPECT_GT(job->name.size(), 1u);
}

TEST(CudaJob, SlurmOverTwoMachinesHasFewerLocalProcesses) {
  const auto job = job_in({{"SLURM_PROCID", "5"},
                           {"SLURM_STEP_NUM_TASKS", "8"},
                           {"SLURM_LOCALID", "1"},
                           {"SLURM_STEP_TASKS_PER_NODE", "4(x2)"},
                           {"SLURM_JOB_ID", "7"},
                           {"SLURM_STEP_ID", "0"}});

  ASSERT_TRUE(job);
  EXPECT_EQ(job->local_size, 4);
  EXPECT_EQ(job->name, "-7-0");
}

TEST(CudaJob, NumbersThatGoOnAreNone) {
  const auto processes_in = [](const char* tasks, const char* rank) {
    return launched_processes([=](const char* name) -> const char* {
      const std::string_view asked = name;
      if (asked == "SLURM_PROCID") return rank;
      if (asked == "SLURM_STEP_NUM_TASKS") return "8";
      return asked == "SLURM_STEP_TASKS_PER_NODE" ? tasks : nullptr;
    });
  };

  EXPECT_EQ(processes_in("4(x2)", "5").at(0).ranks_per_node, 4);
  EXPECT_EQ(processes_in("4", "5").at(0).ranks_per_node, 4);
  for (const char* uneven : {"4,2", "4(x1),2", "4(x)", "4(x2", "4x"}) {
    EXPECT_FALSE(processes_in(uneven, "5").at(0).ranks_per_node) << uneven;
  }
  EXPECT_TRUE(processes_in("4", "5x").empty());
  EXPECT_TRUE(processes_in("4", "5(x2)").empty());
}

}  // namespace
}  // namespace epskew::cuda
