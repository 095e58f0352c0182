// The engine's log: lines on stderr, which silc keeps as engine.log.
#pragma once

#include <string>

namespace silc {

void log_info(const std::string& message);
void log_warning(const std::string& message);
void log_error(const std::string& message);

}  // namespace silc
