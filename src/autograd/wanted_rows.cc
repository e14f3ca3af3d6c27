#include "autograd/wanted_rows.h"

#include <cassert>

#include "autograd/gather_rows.h"

namespace mlac {

WantedRows::WantedRows(Run& run, const Tensor& x, const TokenRows& rows) : run_(run), x_(rows == nullptr ? x : GatherRows(run, x, *rows)) {
  if (rows == nullptr) return;
  assert(!rows->empty() && run.rows().tokens == nullptr && run.rows().adapters.empty());
  run.rows().tokens = rows;
}

WantedRows::~WantedRows() { run_.rows().tokens = nullptr; }

}  // namespace mlac
