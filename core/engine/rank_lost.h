#pragma once

#include "silc/error.h"

namespace silc {

// Another rank has ended, or cannot be reached; what() names it. No fault of whoever waited for it.
class RankLost : public Error {
 public:
  using Error::Error;
};

}  // namespace silc
