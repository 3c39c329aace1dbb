#pragma once

/// Laws fitted to sorted loads by least squares: the criterion of DeepEP #393.
///
/// SSE = sum over places of (load / mean load - law's curve)^2, loads ascending, the law at (i - 1/2) / n.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "epskew/fit/law.hpp"

namespace epskew {

struct LeastSquaresFit {
  LawFamily family = LawFamily::uniform;
  std::vector<double> parameters;  ///< as named by parameter_names
  double sse = 0;
  double max_error = 0;  ///< largest place of the curve / largest load - 1: negative = the law falls short
  bool at_bound =
      false;  ///< the best shape lies at the end of the searched range: take the parameters as a limit
  std::vector<double> curve;  ///< [n], ascending, in units of the mean load
};

/// Parameters and SSE without the rest, from tabulated curves and interpolation between them.
struct ApproximateFit {
  std::vector<double> parameters;
  double sse = 0;
};

/// Fits loads of n places. Holds tables of every family's curve over n places, so keep one for many fits;
/// const members may be called from several threads.
class LeastSquares {
 public:
  /// Precondition: n >= 2.
  explicit LeastSquares(int n);
  ~LeastSquares();
  LeastSquares(LeastSquares&&) noexcept;
  LeastSquares& operator=(LeastSquares&&) noexcept;

  int places() const;
  /// `loads`: [n] ascending, mean 1, not all equal (see sorted_loads).
  LeastSquaresFit fit(LawFamily family, std::span<const double> loads) const;
  /// For resampling, and far quicker: within about 1 % of fit's SSE and parameters (3 % for laws of three
  /// parameters). `loads` as above.
  ApproximateFit approximate(LawFamily family, std::span<const double> loads) const;

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

/// Loads as fits want them: divided by their mean and sorted ascending. Throws UsageError, naming `what`, for
/// fewer than two loads, a load that is negative or not finite, no load at all, or loads that are all equal.
std::vector<double> sorted_loads(std::span<const double> loads, const std::string& what);

}  // namespace epskew
