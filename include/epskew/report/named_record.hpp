#pragma once

#include <string>

#include "epskew/report/record.hpp"

namespace epskew {

struct NamedRecord {
  std::string name;  ///< tells results apart where several are shown, e.g. the file name
  Record record;
};

}  // namespace epskew
