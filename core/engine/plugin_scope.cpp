#include "engine/plugin_scope.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "files/activity.h"

namespace silc {
namespace {

ActivityPage unpublished;
std::atomic<ActivityPage*> page{&unpublished};

std::array<std::atomic<bool>, ActivityPage::kThreads> taken;

// Plain numbers, because a signal handler reads them.
constinit thread_local int32_t own_thread = ActivityPage::kNobody;
constinit thread_local uintptr_t stack_end = 0;  // lowest address of this thread's stack
constinit thread_local int scopes = 0;

int32_t take_place() {
  for (std::size_t i = 0; i < taken.size(); ++i)
    if (bool free = false; taken[i].compare_exchange_strong(free, true)) return static_cast<int32_t>(i);
  return ActivityPage::kNobody;  // one thread more than are kept account of
}

uintptr_t lowest_stack_address() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  void* lowest = nullptr;
  std::size_t size = 0;
  pthread_attr_getstack(&attributes, &lowest, &size);
  pthread_attr_destroy(&attributes);
  return reinterpret_cast<uintptr_t>(lowest);
}

// A thread's place in the account, and a second stack for the handler, which must work when the first is used up.
class ThreadPlace {
 public:
  ThreadPlace() : handler_stack_(mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    own_thread = take_place();
    stack_end = lowest_stack_address();
    if (handler_stack_ == MAP_FAILED) return;
    stack_t stack{};
    stack.ss_sp = handler_stack_;
    stack.ss_size = kSize;
    sigaltstack(&stack, nullptr);
  }
  ~ThreadPlace() {
    // A plugin that calls exit() ends the thread from within: the account must go on saying so.
    if (scopes == 0 && own_thread >= 0) taken[static_cast<std::size_t>(own_thread)] = false;
    if (handler_stack_ == MAP_FAILED) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    munmap(handler_stack_, kSize);
  }
  ThreadPlace(const ThreadPlace&) = delete;
  ThreadPlace& operator=(const ThreadPlace&) = delete;

 private:
  static constexpr std::size_t kSize = 64 * 1024;
  void* handler_stack_;
};

void enter_account() {
  thread_local const ThreadPlace place;
  static_cast<void>(place);
}

ActivityPage::Thread* own_entry() {
  return own_thread < 0 ? nullptr : &page.load()->threads[static_cast<std::size_t>(own_thread)];
}

// In three steps, so that a reader in between finds nothing rather than half of it.
void write(ActivityPage::Thread& entry, std::string_view text) {
  const std::size_t length = std::min(text.size(), entry.text.size());
  entry.length.store(0);
  std::copy_n(text.data(), length, entry.text.data());
  entry.length.store(static_cast<uint32_t>(length));
}

void say(std::string_view text) {
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

bool is_stack_overflow(int signal, const siginfo_t& info) {
  if ((signal != SIGSEGV && signal != SIGBUS) || info.si_code <= 0 || stack_end == 0) return false;
  // The system keeps a gap of up to a megabyte below a stack that grows, and a large frame may reach over it.
  constexpr uintptr_t kReach = 2 << 20;
  const auto address = reinterpret_cast<uintptr_t>(info.si_addr);
  return address + kReach >= stack_end && address <= stack_end + kReach;
}

// Calls only what is safe in a signal handler.
void on_fault(int signal, siginfo_t* info, void* /*context*/) {
  const bool overflow = is_stack_overflow(signal, *info);
  ActivityPage& activity = *page.load();
  activity.stack_overflowed.store(overflow ? 1 : 0);
  activity.crashed.store(own_thread);
  say("silc-engine: killed by SIG");
  const char* name = sigabbrev_np(signal);
  say(name == nullptr ? "?" : name);
  if (const ActivityPage::Thread* entry = own_entry(); entry != nullptr && entry->length.load() > 0) {
    say(" in ");
    say({entry->text.data(), entry->length.load()});
  }
  say(overflow ? ": its stack overflowed\n" : "\n");
  // The default action is back in place (SA_RESETHAND) and strikes when this returns.
  raise(signal);
}

}  // namespace

PluginScope::PluginScope(std::string_view plugin) {
  enter_account();
  ++scopes;
  page.load()->heartbeats.fetch_add(1);
  ActivityPage::Thread* entry = own_entry();
  if (entry == nullptr) return;
  outer_ = entry->text;
  outer_length_ = entry->length.load();
  write(*entry, plugin);
}

PluginScope::~PluginScope() {
  if (ActivityPage::Thread* entry = own_entry()) write(*entry, {outer_.data(), outer_length_});
  --scopes;
  beat_heart();
}

void beat_heart() { page.load()->heartbeats.fetch_add(1); }

void publish_activity(const std::filesystem::path& file) {
  enter_account();
  page.store(&map_activity(file));
}

void report_crashes() {
  enter_account();
#if !defined(__SANITIZE_ADDRESS__)  // which reports crashes itself
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS}) sigaction(signal, &action, nullptr);
#endif
}

}  // namespace silc
