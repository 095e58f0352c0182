#include "engine/stop_signal.h"

#include <csignal>

namespace silc {
namespace {

volatile std::sig_atomic_t stop_noted = 0;

void note(int /*signal*/) { stop_noted = 1; }

}  // namespace

void watch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

bool stop_requested() { return stop_noted != 0; }

}  // namespace silc
