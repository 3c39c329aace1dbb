#pragma once

/// Standard output as a promise that is kept or broken aloud.

namespace epskew::app {

/// Where the caller closed standard input, output or error, takes its number, before any file or shared
/// memory does: what is printed must not end up in there. Writing to a closed standard output stays an error.
void hold_standard_streams();

/// Throws EnvironmentError unless all that was printed has arrived: on a full disk a run without its tables
/// is no success.
void require_output();

}  // namespace epskew::app
