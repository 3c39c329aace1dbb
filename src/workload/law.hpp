#pragma once

#include <map>
#include <string>
#include <vector>

#include "epskew/workload/spec.hpp"

namespace epskew {

/// The law of a spec with its shape solved: the curve of loads over any number of places.
class Law {
 public:
  /// Solves the shape for `factor` over n places; the factor n itself puts all load on one place.
  static Law of_factor(const WorkloadSpec& spec, double factor, int n);
  /// Bends the spec's family or recorded curve by a spread (spread.hpp; for a curve the power it is raised
  /// to).
  static Law of_spread(const WorkloadSpec& spec, double spread);
  /// The law of the spec's own shape or recorded curve.
  static Law of_shape(const WorkloadSpec& spec);

  /// Ascending loads of n places, mean 1, on the grid of load_curve.
  std::vector<double> curve(int n) const;
  std::string name() const;
  /// The shape under its name; "power" for a bent recorded curve. Without what is not finite.
  std::map<std::string, double> parameters() const;

 private:
  Family family_ = Family::uniform;
  double shape_ = 0.0;            ///< the family's shape, or the power a recorded curve is raised to
  std::vector<double> recorded_;  ///< empty: the family decides
  std::string recorded_name_;
  bool all_on_one_ = false;  ///< the limit of every family but uniform
};

}  // namespace epskew
