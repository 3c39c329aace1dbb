#pragma once

#include <string>

namespace epskew::mpi {

/// The name of this machine (of this UTS namespace).
std::string host_name();

}  // namespace epskew::mpi
