#include "backends/mpi/mpi_exchange.hpp"

#include "backends/mpi/library.hpp"
#include "exchange/kernels.hpp"

namespace epskew::mpi {

MpiExchange::MpiExchange(const Setting& setting)
    : setting_(setting),
      wire_(setting.shape, setting.options.dispatch),
      result_row_(setting.shape, setting.options.combine),
      local_ranks_{setting.control->rank()},
      inputs_(static_cast<std::size_t>(setting.options.micro_batches)) {}

void MpiExchange::set_input(int /*local*/, int batch, const RankInput& input) {
  inputs_[static_cast<std::size_t>(batch)] = input;
}

void MpiExchange::align() {
  control().enter("align");
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(comm(), &request), "MPI_Ibarrier");
  control().wait(request);
}

std::int64_t MpiExchange::earliest(std::int64_t mine_ns) {
  control().enter("comparing clocks");
  std::int64_t first = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallreduce(&mine_ns, &first, 1, MPI_INT64_T, MPI_MIN, comm(), &request), "MPI_Iallreduce");
  control().wait(request);
  return first;
}

void MpiExchange::reduce_token(int batch, std::size_t token, std::span<const std::byte* const> row_of,
                               std::span<BFloat16> combined) {
  const auto topk = static_cast<std::size_t>(shape().topk);
  const auto hidden = static_cast<std::size_t>(shape().hidden);
  if (result_row_.is_coded()) decoded_.resize(topk * hidden);
  weighted_.clear();
  for (std::size_t k = 0; k < topk; ++k) {
    if (row_of[k] == nullptr) continue;
    BFloat16* room = decoded_.data() + (result_row_.is_coded() ? weighted_.size() * hidden : 0);
    weighted_.push_back({result_row_.decode(row_of[k], room), input(batch).topk_weights[token * topk + k]});
  }
  reduce_rows(weighted_, shape().hidden, combined.data() + token * hidden);
}

void MpiExchange::reduce(int batch, std::span<const std::byte* const> row_of,
                         std::vector<BFloat16>& combined) {
  const auto topk = static_cast<std::size_t>(shape().topk);
  const auto tokens = static_cast<std::size_t>(num_tokens(batch));
  combined.resize(tokens * static_cast<std::size_t>(shape().hidden));
  for (std::size_t token = 0; token < tokens; ++token) {
    reduce_token(batch, token, row_of.subspan(token * topk, topk), combined);
  }
}

}  // namespace epskew::mpi
