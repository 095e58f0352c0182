// Keeps account of which plugin each thread is in, for the case that the process does not live to tell. No LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace silc {

// While it lives, this thread is in a plugin: a crash, an endless loop or a call of exit() is put down to it.
class PluginScope {
 public:
  // `plugin`: 'objective "silc"'. Scopes of one thread nest.
  explicit PluginScope(std::string_view plugin);
  ~PluginScope();
  PluginScope(const PluginScope&) = delete;
  PluginScope& operator=(const PluginScope&) = delete;

 private:
  std::array<char, 124> outer_;
  uint32_t outer_length_ = 0;
};

// A sign of life between plugins, for work of the engine's own that takes long.
void beat_heart();

// From now on the account lies in `file` too, for silc to read (files/activity.h). Called by the main thread. Throws
// silc::Error.
void publish_activity(const std::filesystem::path& file);

// From now on a signal that ends the process for a fault (SIGSEGV, SIGABRT, …) first says on stderr in which plugin it
// happened. Called by the main thread, once.
void report_crashes();

}  // namespace silc
