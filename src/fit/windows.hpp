#pragma once

/// Loads of the batches that users run, not of the whole recording.

#include <map>
#include <string>
#include <vector>

#include "epskew/fit/fit.hpp"

namespace epskew::fit {

/// The least-squares fitters of every number of places that a report needs.
class Fitters {
 public:
  const LeastSquares& of(int places);

 private:
  std::map<int, LeastSquares> fitters_;
};

/// For every world size and window size of the options, at the level of ranks and, where asked for, of
/// experts. Sizes that no layer can fill are left out with a line in `notes`; so is everything for a
/// recording without tokens.
std::vector<WindowFit> fit_windows(const Trace& trace, const FitOptions& options, Fitters& fitters,
                                   std::vector<std::string>& notes);

}  // namespace epskew::fit
