// The exception for everything that a user can mend.
#pragma once

#include <stdexcept>
#include <string>

#include "silc/export.h"

namespace silc {

// Thrown when the request, a file or the data is wrong. what() is shown to the user as it is, so it
// says where the fault lies and what to do about it. Any other exception is a fault of silc or of a
// plugin, and is reported as one.
class SILC_EXPORT Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

}  // namespace silc
