// The engine's log: lines on stderr, which silc keeps as engine.log.
#pragma once

#include <cstdint>
#include <string>

namespace silc {

// From now on every line says that it is of this rank; those of ranks but the first are warnings and errors alone.
void log_as_rank(int64_t rank);

void log_info(const std::string& message);
void log_warning(const std::string& message);
void log_error(const std::string& message);

}  // namespace silc
