#pragma once

#include <boost/math/policies/policy.hpp>

namespace epskew::fit {

/// Boost.Math without long double, as in the generator: quicker, and the same on every platform.
using DoubleOnly = boost::math::policies::policy<boost::math::policies::promote_double<false>,
                                                 boost::math::policies::promote_float<false>>;

}  // namespace epskew::fit
