#include "files/activity.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include "files/descriptor.h"

namespace silc {

namespace {

std::string text_of(const ActivityPage::Thread& thread) {
  const std::size_t length = std::min<std::size_t>(thread.length.load(), thread.text.size());
  return {thread.text.data(), length};
}

}  // namespace

ActivityPage& map_activity(const std::filesystem::path& file) {
  const Descriptor descriptor = open_file(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, "write");
  // Blocks on disk at once: a mapped file that finds the disk full later ends the process.
  if (const int error = posix_fallocate(descriptor.number(), 0, sizeof(ActivityPage)); error != 0)
    throw_io_error("write", file, error);
  void* memory = mmap(nullptr, sizeof(ActivityPage), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.number(), 0);
  if (memory == MAP_FAILED) throw_io_error("write", file, errno);
  return *new (memory) ActivityPage;
}

std::optional<Activity> read_activity(const std::filesystem::path& file) {
  const int opened = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened < 0) return std::nullopt;
  const Descriptor descriptor(opened);
  alignas(ActivityPage) std::array<std::byte, sizeof(ActivityPage)> bytes{};
  if (pread(opened, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return std::nullopt;
  const auto& page = *reinterpret_cast<const ActivityPage*>(bytes.data());
  if (page.magic != ActivityPage::kMagic) return std::nullopt;

  Activity activity;
  activity.heartbeats = page.heartbeats.load();
  activity.stack_overflowed = page.stack_overflowed.load() != 0;
  const int32_t crashed = page.crashed.load();
  if (crashed >= 0 && static_cast<std::size_t>(crashed) < page.threads.size())
    activity.plugin = text_of(page.threads[static_cast<std::size_t>(crashed)]);
  for (std::size_t i = 0; activity.plugin.empty() && i < page.threads.size(); ++i)
    activity.plugin = text_of(page.threads[i]);
  return activity;
}

}  // namespace silc
