#include "autograd/wanted_rows.h"

#include <cassert>

#include "autograd/gather_rows.h"

namespace mlac {

WantedRows::WantedRows(Run& run, const Tensor& x, const TokenRows& rows) : run_(run), x_(rows == nullptr ? x : GatherRows(run, x, *rows)) {
  if (rows == nullptr) return;
  assert(!rows->empty() && run.token_rows() == nullptr && run.adapter_rows().empty());
  run.SetTokenRows(rows);
}

WantedRows::~WantedRows() { run_.SetTokenRows(nullptr); }

}  // namespace mlac
