#pragma once

#include <string>

namespace epskew::mpi {

/// The name of this machine (of this UTS namespace).
std::string host_name();
/// The cores that this process may run on, as "0-3,8".
std::string usable_cores();
/// The socket of the first of them; -1 where the kernel does not say.
int socket_of_first_core();

}  // namespace epskew::mpi
