#include "engine/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace silc {
namespace {

spdlog::logger& logger() {
  static const auto made = [] {
    auto to_stderr = spdlog::stderr_logger_mt("silc-engine");
    to_stderr->set_pattern("%Y-%m-%d %H:%M:%S %l: %v");
    return to_stderr;
  }();
  return *made;
}

}  // namespace

void log_as_rank(int64_t rank) {
  logger().set_pattern("%Y-%m-%d %H:%M:%S %l: rank " + std::to_string(rank) + ": %v");
  if (rank > 0) logger().set_level(spdlog::level::warn);
}

void log_info(const std::string& message) { logger().info("{}", message); }

void log_warning(const std::string& message) { logger().warn("{}", message); }

void log_error(const std::string& message) { logger().error("{}", message); }

}  // namespace silc
