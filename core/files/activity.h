// Which plugin an engine is in, readable from outside whatever becomes of the engine: a small file in the run folder
// that the engine has mapped into memory. What it wrote last is there even after SIGKILL. No LibTorch.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace silc {

// As it lies in the file. Written by the engine's threads without locks, read by silc at any time.
struct ActivityPage {
  static constexpr uint64_t kMagic = 0x31544341434c4953;  // "SILCACT1"
  static constexpr std::size_t kThreads = 64;
  static constexpr int32_t kNobody = -1;

  struct Thread {
    std::atomic<uint32_t> length;  // of `text`; 0: in no plugin
    std::array<char, 124> text;    // objective "silc"
  };

  uint64_t magic = kMagic;
  std::atomic<uint64_t> heartbeats{0};        // moves whenever a plugin is entered or left
  std::atomic<int32_t> crashed{kNobody};      // the thread whose fault it was
  std::atomic<uint32_t> stack_overflowed{0};  // 1: it used up its stack
  std::array<Thread, kThreads> threads{};     // the main thread first
};
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

// The page of a file made anew, mapped until the process ends. Throws silc::Error.
ActivityPage& map_activity(const std::filesystem::path& file);

struct Activity {
  uint64_t heartbeats = 0;
  std::string plugin;  // 'objective "silc"'; empty: in none
  bool stack_overflowed = false;
};

// Where several threads are in plugins: the one that crashed, or else the main thread's. Null if there is no such file.
std::optional<Activity> read_activity(const std::filesystem::path& file);

}  // namespace silc
