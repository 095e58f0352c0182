#include "schedule/signal_queue.h"

#include <ctime>

namespace silc {

namespace {

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

SignalQueue::SignalQueue(std::initializer_list<int> more) {
  sigemptyset(&watched_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    if (!is_ignored(signal)) sigaddset(&watched_, signal);
  for (const int signal : more) sigaddset(&watched_, signal);
  // With SIGCHLD ignored the system would forget ended children, and their cost with them.
  std::signal(SIGCHLD, SIG_DFL);
  sigaddset(&watched_, SIGCHLD);
  sigprocmask(SIG_BLOCK, &watched_, &previous_);
}

SignalQueue::~SignalQueue() {
  // Repeated requests to stop are answered by stopping; the default action must not follow.
  const timespec now{};
  if (stop_requests_ > 0)
    while (sigtimedwait(&watched_, nullptr, &now) > 0) continue;
  sigprocmask(SIG_SETMASK, &previous_, nullptr);
}

void SignalQueue::wait(std::chrono::milliseconds timeout) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{static_cast<time_t>(seconds.count()),
                       static_cast<long>(std::chrono::nanoseconds(timeout - seconds).count())};
  take(sigtimedwait(&watched_, nullptr, &limit));
  const timespec now{};
  for (int signal = 0; (signal = sigtimedwait(&watched_, nullptr, &now)) > 0;) take(signal);
}

void SignalQueue::take(int signal) {
  if (signal <= 0 || signal == SIGCHLD) return;
  ++stop_requests_;
  last_was_interrupt_ = signal == SIGINT;
}

}  // namespace silc
