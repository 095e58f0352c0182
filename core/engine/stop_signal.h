// SIGTERM and SIGINT: a wish to stop soon. No LibTorch.
#pragma once

namespace silc {

// From now on these signals are noted instead of ending the process.
void watch_stop_signals();

[[nodiscard]] bool stop_requested();

}  // namespace silc
