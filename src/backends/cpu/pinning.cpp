#include "backends/cpu/pinning.hpp"

#include <fmt/format.h>
#include <hwloc.h>

#include "epskew/support/error.hpp"

namespace epskew::cpu {

struct Pinning::Topology {
  Topology() {
    if (hwloc_topology_init(&handle) != 0) throw_errno("hwloc_topology_init");
    if (hwloc_topology_load(handle) != 0) {
      hwloc_topology_destroy(handle);
      throw_errno("hwloc_topology_load");
    }
  }
  ~Topology() { hwloc_topology_destroy(handle); }
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;
  hwloc_topology_t handle = nullptr;
};

Pinning::Pinning() : topology_(std::make_unique<Topology>()) {}
Pinning::~Pinning() = default;

int Pinning::num_cores() const {
  return hwloc_get_nbobjs_by_type(topology_->handle, HWLOC_OBJ_CORE);
}

void Pinning::pin(int rank, int num_ranks) const {
  if (num_ranks > num_cores()) return;
  const hwloc_obj_t core =
      hwloc_get_obj_by_type(topology_->handle, HWLOC_OBJ_CORE, static_cast<unsigned>(rank));
  if (core == nullptr) return;
  // A refusal (a container without the right) costs speed, not correctness.
  hwloc_set_cpubind(topology_->handle, core->cpuset, HWLOC_CPUBIND_PROCESS);
}

std::string Pinning::library_version() {
  const unsigned version = hwloc_get_api_version();
  return fmt::format("hwloc: {}.{}.{}", version >> 16, version >> 8 & 0xffu, version & 0xffu);
}

}  // namespace epskew::cpu
