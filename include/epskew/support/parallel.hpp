#pragma once

/// Independent pieces of work of one process, on several cores.

#include <functional>

namespace epskew {

/// Calls work(0) … work(count - 1), each once and in no order, on at most as many threads as this process has
/// cores, the caller's among them, and returns when all are done. Of what the calls throw, what the one of
/// the smallest index threw is thrown again, after all are done.
void for_each_in_parallel(int count, const std::function<void(int)>& work);

}  // namespace epskew
