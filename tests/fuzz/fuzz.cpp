// fuzzer FORMAT --seconds N | --runs N | FILE...: reads files of a format that are changed at random, or these files.
//
// Files that make the program take a way that it has not taken before are kept and changed further, where it is
// compiled to tell (the preset "fuzz": -fsanitize-coverage=trace-pc,trace-cmp). What ends the program is in
// FOUND/FORMAT-HASH.
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "formats.h"
#include "silc/error.h"

#define SILC_UNSEEN __attribute__((no_sanitize_coverage, no_sanitize("address", "undefined")))

namespace {

// How often places of the program were come by in one run; places share counters now and then.
constexpr std::size_t kPlaces = std::size_t{1} << 16;
uint8_t hits[kPlaces];
uintptr_t place_before = 0;

// Numbers that the program compared something with.
constexpr std::size_t kCompared = 256;
uint64_t compared[kCompared];
std::size_t compared_count = 0;

SILC_UNSEEN void note_compared(uint64_t constant) {
  if (constant > 1) compared[compared_count++ % kCompared] = constant;
}

}  // namespace

extern "C" {
SILC_UNSEEN __attribute__((visibility("default"))) void __sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  uint8_t& count = hits[(place ^ place >> 16 ^ place_before) % kPlaces];
  if (count < 255) ++count;
  place_before = place << 1;
}
#define SILC_COMPARISON(name, type)                                                                        \
  SILC_UNSEEN __attribute__((visibility("default"))) void __sanitizer_cov_trace_##name(type, type);        \
  SILC_UNSEEN __attribute__((visibility("default"))) void __sanitizer_cov_trace_##name(type first, type) { \
    note_compared(static_cast<uint64_t>(first));                                                           \
  }
SILC_COMPARISON(cmp1, uint8_t)
SILC_COMPARISON(cmp2, uint16_t)
SILC_COMPARISON(cmp4, uint32_t)
SILC_COMPARISON(cmp8, uint64_t)
SILC_COMPARISON(const_cmp1, uint8_t)
SILC_COMPARISON(const_cmp2, uint16_t)
SILC_COMPARISON(const_cmp4, uint32_t)
SILC_COMPARISON(const_cmp8, uint64_t)
#define SILC_NO_COMPARISON(name, ...)                                                    \
  __attribute__((visibility("default"))) void __sanitizer_cov_trace_##name(__VA_ARGS__); \
  SILC_UNSEEN __attribute__((visibility("default"))) void __sanitizer_cov_trace_##name(__VA_ARGS__) {}
SILC_NO_COMPARISON(cmpf, float, float)
SILC_NO_COMPARISON(cmpd, double, double)
SILC_NO_COMPARISON(switch, uint64_t, void*)

// There with the sanitizers alone.
void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

// Sizes that a damaged file asks for, and that nothing checks, are faults.
__attribute__((visibility("default"))) const char* __asan_default_options() {
  return "handle_abort=1:max_allocation_size_mb=1024:hard_rss_limit_mb=4096:allocator_may_return_null=0";
}
__attribute__((visibility("default"))) const char* __ubsan_default_options() { return "print_stacktrace=1"; }
}

namespace silc::testing {
namespace {

using Random = std::mt19937_64;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongest = 1 << 16;
constexpr time_t kHangSeconds = 20;

std::string_view format_name;
const std::string* at_hand = nullptr;  // the file that is read

// Called when the program is about to end: no memory is to be asked for.
void save_found() {
  if (at_hand == nullptr) return;
  char name[256];
  std::snprintf(name, sizeof name, "%.*s-%016zx", static_cast<int>(format_name.size()), format_name.data(),
                std::hash<std::string_view>()(*at_hand));
  const int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool written =
      file >= 0 && write(file, at_hand->data(), at_hand->size()) == static_cast<ssize_t>(at_hand->size());
  std::fprintf(stderr, "fuzz: this was found with %s%s\n", name, written ? "" : ", which cannot be written");
  at_hand = nullptr;
}

// Of the processor's time: other work on the machine is no fault of a file.
void limit_time(time_t seconds) {
  const itimerval limit{.it_interval = {}, .it_value = {.tv_sec = seconds, .tv_usec = 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
}

void die(int signal) {
  if (signal == SIGPROF) std::fprintf(stderr, "fuzz: a file was read for more than %ld s\n", long{kHangSeconds});
  save_found();
  _exit(1);
}

void watch_for_death() {
  signal(SIGPROF, die);
  if (__sanitizer_set_death_callback != nullptr) return __sanitizer_set_death_callback(save_found);
  for (const int fault : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) signal(fault, die);
}

std::size_t below(Random& random, std::size_t end) { return end == 0 ? 0 : random() % end; }

// Over what is there, or between it.
void put_in(std::string& file, std::string_view text, Random& random) {
  const std::size_t at = below(random, file.size() + 1);
  const std::size_t replaced = random() % 2 == 0 ? 0 : text.size();
  file.replace(at, std::min(replaced, file.size() - at), text);
}

// A number in one to eight bytes of either order, or as digits.
std::string number_text(uint64_t number, Random& random) {
  if (random() % 4 == 0) return std::to_string(number);
  std::string bytes(std::size_t{1} << random() % 4, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(number >> 8 * i);
  if (random() % 2 == 0) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

uint64_t telling_number(Random& random) {
  if (compared_count > 0 && random() % 2 == 0) {
    const uint64_t constant = compared[below(random, std::min(compared_count, kCompared))];
    return constant + random() % 3 - 1;
  }
  return (uint64_t{1} << random() % 64) + random() % 3 - 1;
}

void change(std::string& file, const Format& format, const std::string& other, Random& random) {
  const std::size_t at = below(random, file.size());
  const std::size_t length = std::min(file.size() - at, std::size_t{1} << random() % 12);
  switch (random() % 9) {
    case 0:
      if (!file.empty()) file[at] = static_cast<char>(file[at] ^ 1 << random() % 8);
      break;
    case 1:
      if (!file.empty()) file[at] = static_cast<char>(random());
      break;
    case 2:
      file.erase(at, length);
      break;
    case 3:
      put_in(file, file.substr(at, length), random);
      break;
    case 4:
      put_in(file, other.substr(below(random, other.size()), std::size_t{1} << random() % 12), random);
      break;
    case 5:
      if (!format.words.empty()) put_in(file, format.words[below(random, format.words.size())], random);
      break;
    case 6:
    case 7:
      put_in(file, number_text(telling_number(random), random), random);
      break;
    default:
      if (random() % 4 == 0) file.resize(at);
  }
}

// Files of the format that are worth changing.
class Corpus {
 public:
  explicit Corpus(std::vector<std::string> seeds) : files_(std::move(seeds)) {}

  [[nodiscard]] std::size_t size() const { return files_.size(); }

  [[nodiscard]] std::string changed(const Format& format, Random& random) const {
    // Those found last half of the time: they are farthest from where one has been.
    const std::size_t recent = std::min<std::size_t>(files_.size(), 16);
    const std::size_t from = random() % 2 == 0 ? files_.size() - recent : 0;
    std::string file = files_[from + below(random, files_.size() - from)];
    for (std::size_t changes = std::size_t{1} << random() % 5; changes > 0; --changes)
      change(file, format, files_[below(random, files_.size())], random);
    if (file.size() > kLongest) file.resize(kLongest);
    if (random() % 4 != 0) format.mend(file);
    return file;
  }

  // Keeps a file whose run went where none has gone, or as often.
  void look_at(const std::string& file) {
    bool news = false;
    for (std::size_t i = 0; i < kPlaces; ++i) {
      if (hits[i] == 0) continue;
      const auto often = static_cast<uint8_t>(1U << std::min(7, std::bit_width(hits[i]) - 1));
      news = news || (known_[i] & often) == 0;
      known_[i] |= often;
    }
    if (news) files_.push_back(file);
  }

 private:
  std::vector<std::string> files_;
  std::array<uint8_t, kPlaces> known_{};  // by place, a bit for each order of magnitude
};

// Returns whether the file is read, rather than refused.
bool read(const Format& format, const std::string& file) {
  std::memset(hits, 0, sizeof hits);
  place_before = 0;
  at_hand = &file;
  limit_time(kHangSeconds);
  bool sound = false;
  try {
    format.read(file);
    sound = true;
  } catch (const Error&) {
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz: an exception that is no silc::Error: %s\n", error.what());
    std::abort();
  }
  limit_time(0);
  at_hand = nullptr;
  return sound;
}

void fuzz(const Format& format, double seconds, int64_t most_runs) {
  Corpus corpus(format.seeds());
  Random random(1);
  for (const std::string& seed : format.seeds()) {
    if (!read(format, seed)) std::fprintf(stderr, "fuzz: a seed of %zu bytes is refused\n", seed.size());
    corpus.look_at(seed);
  }
  int64_t runs = 0;
  double slowest = 0;
  const auto begin = Clock::now();
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  for (; runs < most_runs && since(begin) < seconds; ++runs) {
    const std::string file = corpus.changed(format, random);
    const auto start = Clock::now();
    read(format, file);
    slowest = std::max(slowest, since(start));
    corpus.look_at(file);
  }
  std::printf("%-12.*s %8ld files in %4.0f s, %zu kept that took new ways; the slowest took %.2f s\n",
              static_cast<int>(format.name.size()), format.name.data(), static_cast<long>(runs), since(begin),
              corpus.size(), slowest);
}

std::string content_of(const char* name) {
  std::ifstream stream(name, std::ios::binary);
  if (!stream) std::fprintf(stderr, "fuzz: %s cannot be read\n", name), std::exit(2);
  return {std::istreambuf_iterator<char>(stream), {}};
}

int usage() {
  std::fputs("usage: fuzzer FORMAT --seconds N | --runs N | FILE...\nformats:", stderr);
  for (const Format& format : formats())
    std::fprintf(stderr, " %.*s", static_cast<int>(format.name.size()), format.name.data());
  std::fputs("\n", stderr);
  return 2;
}

int run(int count, char** arguments) {
  if (count < 3) return usage();
  const auto format =
      std::find_if(formats().begin(), formats().end(), [&](const Format& known) { return known.name == arguments[1]; });
  if (format == formats().end()) return usage();
  format_name = format->name;
  watch_for_death();
  const std::string_view how = arguments[2];
  constexpr int64_t kEndless = int64_t{1} << 60;
  if (count == 4 && how == "--seconds")
    fuzz(*format, std::atof(arguments[3]), kEndless);
  else if (count == 4 && how == "--runs")
    fuzz(*format, static_cast<double>(kEndless), std::atoll(arguments[3]));
  else
    for (int i = 2; i < count; ++i)
      std::printf("%s is %s\n", arguments[i], read(*format, content_of(arguments[i])) ? "read" : "refused");
  return 0;
}

}  // namespace
}  // namespace silc::testing

int main(int count, char** arguments) { return silc::testing::run(count, arguments); }
