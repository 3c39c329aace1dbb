#pragma once

/// OutputFile serves routing and law files as well as results, so it lives in support.

#include "epskew/support/output_file.hpp"
