#pragma once

namespace epskew::mpi {

/// Removes the shared memory files that Open MPI's transport inside a node has made for this job on this
/// host: a process that ends without MPI_Finalize leaves its own behind. Only for a job that has failed, as a
/// process that meets another one later on finds it by its file.
void remove_left_segments();

}  // namespace epskew::mpi
