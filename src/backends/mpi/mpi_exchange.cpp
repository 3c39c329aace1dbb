#include "backends/mpi/mpi_exchange.hpp"

#include "backends/mpi/library.hpp"
#include "exchange/kernels.hpp"

namespace epskew::mpi {

MpiExchange::MpiExchange(const Setting& setting)
    : setting_(setting),
      wire_(setting.shape, setting.options.dispatch),
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

void MpiExchange::reduce_token(int batch, int index, const BFloat16* rows,
                               std::span<const std::int32_t> position, BFloat16* out) const {
  const auto topk = static_cast<std::size_t>(setting_.shape.topk);
  const auto hidden = static_cast<std::size_t>(setting_.shape.hidden);
  std::array<WeightedRow, 16> selected;  // validate() bounds top-k
  std::size_t count = 0;
  for (std::size_t k = 0; k < topk; ++k) {
    const std::size_t selection = static_cast<std::size_t>(index) * topk + k;
    if (position[selection] < 0) continue;
    selected[count++] = {rows + static_cast<std::size_t>(position[selection]) * hidden,
                         input(batch).topk_weights[selection]};
  }
  reduce_rows(std::span(selected).first(count), setting_.shape.hidden, out);
}

}  // namespace epskew::mpi
