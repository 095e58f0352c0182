// Signals as something to ask for, not something that strikes. No LibTorch.
#pragma once

#include <chrono>
#include <csignal>
#include <initializer_list>

namespace silc {

// While it lives, SIGINT, SIGTERM and SIGHUP do not end the process but are counted, and SIGCHLD ends a wait early.
// Signals that the parent of this process had made it ignore (nohup) stay ignored.
class SignalQueue {
 public:
  // `more`: further signals that ask to stop.
  explicit SignalQueue(std::initializer_list<int> more = {});
  ~SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  // Returns when a signal comes, or after `timeout`.
  void wait(std::chrono::milliseconds timeout);

  // How often the process was asked to stop.
  [[nodiscard]] int stop_requests() const { return stop_requests_; }
  // Whether the last of these was SIGINT: Ctrl-C.
  [[nodiscard]] bool last_was_interrupt() const { return last_was_interrupt_; }

 private:
  void take(int signal);

  sigset_t watched_{};
  sigset_t previous_{};
  int stop_requests_ = 0;
  bool last_was_interrupt_ = false;
};

}  // namespace silc
