#include "engine/process_ranks.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#ifdef SILC_HAS_GLOO
#define USE_C10D_GLOO 1
#include <ATen/ATen.h>
#include <c10/util/Logging.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef SILC_HAS_NCCL
#define USE_C10D_NCCL 1
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#endif

namespace silc {
namespace {

// A whole number of an environment variable; empty if it is not set.
std::optional<int64_t> number_of(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  char* end = nullptr;
  const int64_t value = std::strtoll(text, &end, 10);
  if (*end != '\0') throw Error(fmt::format("{}={} is no whole number", name, text));
  return value;
}

}  // namespace

std::optional<RankEnvironment> rank_environment() {
  const auto size = number_of("WORLD_SIZE");
  if (!size || *size == 1) return std::nullopt;
  if (*size < 1) throw Error(fmt::format("WORLD_SIZE={} must be 1 or more", *size));
  const auto rank = number_of("RANK");
  if (!rank) throw Error(fmt::format("WORLD_SIZE={} is set, but not RANK: which of the ranks this one is", *size));
  if (*rank < 0 || *rank >= *size)
    throw Error(fmt::format("RANK={} does not lie in 0 … {}, as WORLD_SIZE={} asks for", *rank, *size - 1, *size));
  RankEnvironment environment{.rank = *rank, .size = *size, .local_rank = number_of("LOCAL_RANK").value_or(*rank)};
  const char* master = std::getenv("MASTER_ADDR");
  const auto port = number_of("MASTER_PORT");
  if (master == nullptr || !port || *port < 1 || *port > 65535)
    throw Error(
        "MASTER_ADDR and MASTER_PORT must say where the ranks meet: an address of rank 0's machine and a free port");
  environment.master = master;
  environment.port = static_cast<uint16_t>(*port);
  return environment;
}

void check_alike(const Ranks& ranks, const std::vector<std::pair<std::string, std::string>>& properties,
                 const std::string& remedy) {
  if (ranks.alone()) return;
  const auto all =
      ranks.gather_text(nlohmann::json(properties).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  using Properties = std::vector<std::pair<std::string, std::string>>;
  const auto first = nlohmann::json::parse(all[0]).get<Properties>();
  for (std::size_t r = 1; r < all.size(); ++r) {
    const auto other = nlohmann::json::parse(all[r]).get<Properties>();
    for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
      const auto name = i < first.size() ? first[i].first : other[i].first;
      const auto here = i < first.size() ? first[i].second : "none",
                 there = i < other.size() ? other[i].second : "none";
      if (here != there)
        throw Error(fmt::format("ranks differ in {}: {} on rank 0, {} on rank {}; {}", name, here, there, r, remedy));
    }
  }
}

#ifdef SILC_HAS_GLOO

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBeat{1000};
// Rank 0 evaluates and writes checkpoints while the others wait for it; a rank that is lost is known by its silence.
constexpr milliseconds kOperation = std::chrono::hours(24 * 7);

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
std::string text_of(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }
std::string key(const char* name, int64_t rank) { return fmt::format("{}/{}", name, rank); }

// What LibTorch says, without its C++ back-trace.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

constexpr const char* kEndedSilently = "rank 0 has ended without a word: it was killed, or its machine was lost";

using Work = c10::intrusive_ptr<c10d::Work>;

class C10dRanks : public ProcessRanks {
 public:
  C10dRanks(const RankEnvironment& environment, const at::Device& device, const RankTimes& times)
      : ProcessRanks(environment.rank, environment.size), silence_(times.silence) {
    store_ = connect(environment, times, environment.rank == 0);
    meet_all(environment, times);
    const auto options = c10d::ProcessGroupGloo::Options::create(kOperation);
    options->devices = {gloo_device(environment.master)};
    const auto group = [&](const char* name) {
      return c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>(name, store_),
                                                         static_cast<int>(rank()), static_cast<int>(size()), options);
    };
    store_->setTimeout(times.meeting);
    try {
      host_ = group("host");
      host_gradients_ = group("gradients");
      if (!device.is_cpu()) open_device(device);
    } catch (const std::exception& error) {
      throw Error(
          fmt::format("rank {} cannot be connected with the others: {}; do their machines reach each other by the "
                      "address that their host names, or GLOO_SOCKET_IFNAME, stand for?",
                      rank(), first_line(error)));
    }
    beats_ = connect(environment, times, false);
  }

  ~C10dRanks() override {
    C10dRanks::stop_watching();
    if (device_) device_->abort();
  }

  void watch(std::function<void(const std::string&)> lost) override {
    answered_ = steady_clock::now().time_since_epoch().count();
    watcher_ = std::thread([this, lost] { keep_watch(lost); });
    if (rank() > 0) clock_ = std::thread([this, lost = std::move(lost)] { watch_watcher(lost); });
  }

  void stop_watching() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    if (clock_.joinable()) clock_.join();
    if (watcher_.joinable()) watcher_.join();
  }

  void leave_word(const std::string& message) override {
    try {
      store_->set(key("word", rank()), bytes_of(message));
    } catch (const std::exception&) {
      // Rank 0, which keeps the store, has ended before: it has told why.
    }
  }

 private:
  static c10::intrusive_ptr<c10d::Store> connect(const RankEnvironment& environment, const RankTimes& times,
                                                 bool server) {
    c10d::TCPStoreOptions options;
    options.port = environment.port;
    options.isServer = server;
    options.waitWorkers = false;
    options.timeout = times.meeting;
    try {
      return c10::make_intrusive<c10d::TCPStore>(environment.master, options);
    } catch (const std::exception& error) {
      if (server)
        throw Error(fmt::format("rank 0 cannot listen on port {} (MASTER_PORT): {}; choose another port",
                                environment.port, first_line(error)));
      throw Error(
          fmt::format("rank {} cannot reach rank 0 at {}:{} (MASTER_ADDR, MASTER_PORT): {}; was rank 0 started, "
                      "and can this machine reach that address and port?",
                      environment.rank, environment.master, environment.port, first_line(error)));
    }
  }

  static std::shared_ptr<::gloo::transport::Device> gloo_device(const std::string& master) {
    const bool local = master == "127.0.0.1" || master == "localhost";
    if (std::getenv("GLOO_SOCKET_IFNAME") != nullptr)
      return c10d::ProcessGroupGloo::createDeviceForInterface(std::getenv("GLOO_SOCKET_IFNAME"));
    return local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                 : c10d::ProcessGroupGloo::createDefaultDevice();
  }

  // Rank 0 waits for all, and says whether they go together.
  void meet_all(const RankEnvironment& environment, const RankTimes& times) {
    store_->setTimeout(times.meeting);
    const auto twice = store_->add(key("came", rank()), 1) > 1;
    if (rank() != 0) {
      store_->set(key("size", rank()), bytes_of(std::to_string(environment.size)));
      if (twice) throw Error(fmt::format("two processes came as rank {} (RANK) of {}", rank(), environment.size));
      std::string verdict;
      try {
        store_->wait({"verdict"}, times.meeting + std::chrono::seconds(10));
        verdict = text_of(store_->get("verdict"));
      } catch (const std::exception& error) {
        throw Error(fmt::format("rank {} waited in vain for rank 0 at {}:{}: {}", rank(), environment.master,
                                environment.port, first_line(error)));
      }
      if (!verdict.empty()) throw RankLost(verdict);
      return;
    }
    std::string verdict;
    const auto until = steady_clock::now() + times.meeting;
    for (int64_t r = 1; r < size() && verdict.empty(); ++r) {
      while (!store_->check({key("size", r)}) && steady_clock::now() < until)
        std::this_thread::sleep_for(milliseconds(50));
      if (!store_->check({key("size", r)})) {
        verdict = fmt::format(
            "rank {} of {} did not come to {}:{} within {} s; was it started, with the same MASTER_ADDR "
            "and MASTER_PORT?",
            r, size(), environment.master, environment.port, times.meeting.count());
      } else if (const auto said = text_of(store_->get(key("size", r))); said != std::to_string(size())) {
        verdict = fmt::format("rank {} was told of {} ranks and rank 0 of {} (WORLD_SIZE): start all with the same", r,
                              said, size());
      }
    }
    store_->set("verdict", bytes_of(verdict));
    if (!verdict.empty()) throw Error(verdict);
  }

  void open_device([[maybe_unused]] const at::Device& device) {
#ifdef SILC_HAS_NCCL
    const auto group = [&](const char* name) {
      const auto options = c10d::ProcessGroupNCCL::Options::create();
      options->timeout = kOperation;
      return c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>(name, store_),
                                                         static_cast<int>(rank()), static_cast<int>(size()), options);
    };
    device_ = group("nccl");
    device_gradients_ = group("nccl-gradients");
#else
    throw Error(
        "this silc-engine was built without NCCL, by which ranks on GPUs talk; build silc with a LibTorch for "
        "CUDA and the headers of NCCL and CUDA, or set engine.device = \"cpu\"");
#endif
  }

  [[nodiscard]] c10d::Backend& group(const at::Tensor& x) const { return x.is_cpu() ? *host_ : *device_; }

  // Runs operations that others take part in.
  template <class Operation>
  void together(const Operation& operation) const {
    try {
      operation();
    } catch (const std::exception& error) {
      throw RankLost(who_left(first_line(error)));
    }
  }

  at::Tensor reduced(const at::Tensor& x, c10d::ReduceOp::RedOpType how) const {
    at::Tensor result = x.clone(at::MemoryFormat::Contiguous);
    together([&] {
      std::vector<at::Tensor> tensors = {result};
      c10d::AllreduceOptions options;
      options.reduceOp = how;
      group(x).allreduce(tensors, options)->wait();
    });
    return result;
  }

  at::Tensor do_sum(const at::Tensor& x) const override { return reduced(x, c10d::ReduceOp::SUM); }
  at::Tensor do_max(const at::Tensor& x) const override { return reduced(x, c10d::ReduceOp::MAX); }

  at::Tensor do_gather(const at::Tensor& rows) const override {
    auto shape = rows.sizes().vec();
    shape.insert(shape.begin(), size());
    const at::Tensor all = at::empty(shape, rows.options());
    together([&] {
      std::vector<std::vector<at::Tensor>> outputs = {all.unbind(0)};
      std::vector<at::Tensor> inputs = {rows.contiguous()};
      group(rows).allgather(outputs, inputs)->wait();
    });
    return all.flatten(0, 1);
  }

  // Gloo has no such operation of its own: each rank sends every other one its rows, which are added up by rank.
  at::Tensor do_scatter_sum(const at::Tensor& rows) const override {
    const auto parts = rows.contiguous().chunk(size());
    if (!rows.is_cpu()) {
      at::Tensor own = at::empty_like(parts[0]);
      together([&] {
        std::vector<at::Tensor> outputs = {own};
        std::vector<std::vector<at::Tensor>> inputs = {parts};
        group(rows).reduce_scatter(outputs, inputs)->wait();
      });
      return own;
    }
    std::vector<at::Tensor> received(parts.size());
    together([&] {
      const int tag = next_tag();
      std::vector<Work> works;
      for (int64_t r = 0; r < size(); ++r) {
        const auto place = static_cast<std::size_t>(r);
        received[place] = r == rank() ? parts[place] : at::empty_like(parts[place]);
        if (r == rank()) continue;
        std::vector<at::Tensor> in = {received[place]}, out = {parts[place]};
        works.push_back(host_->recv(in, static_cast<int>(r), tag));
        works.push_back(host_->send(out, static_cast<int>(r), tag));
      }
      for (const Work& work : works) work->wait();
    });
    at::Tensor sum = received[0].clone();
    for (std::size_t r = 1; r < received.size(); ++r) sum.add_(received[r]);
    return sum;
  }

  at::Tensor do_pass(const at::Tensor& x) const override {
    const at::Tensor own = x.contiguous();
    at::Tensor received = at::empty_like(own);
    together([&] {
      const int tag = next_tag();
      const auto before = static_cast<int>((rank() + size() - 1) % size()),
                 next = static_cast<int>((rank() + 1) % size());
      std::vector<at::Tensor> in = {received}, out = {own};
      if (x.is_cpu()) {
        const Work receiving = host_->recv(in, next, tag), sending = host_->send(out, before, tag);
        receiving->wait();
        sending->wait();
      } else {
        device_->startCoalescing();
        device_->send(out, before, tag);
        device_->recv(in, next, tag);
        device_->endCoalescing()->wait();
      }
    });
    return received;
  }

  void do_broadcast(at::Tensor& x) const override {
    together([&] {
      std::vector<at::Tensor> tensors = {x};
      group(x).broadcast(tensors)->wait();
    });
  }

  void do_barrier() const override {
    together([&] { host_->barrier()->wait(); });
  }

  class PendingSum : public Pending {
   public:
    PendingSum(const C10dRanks& ranks, Work work) : ranks_(ranks), work_(std::move(work)) {}
    void wait() override {
      ranks_.together([&] { work_->wait(); });
    }

   private:
    const C10dRanks& ranks_;
    Work work_;
  };

  std::unique_ptr<Pending> do_begin_sum(at::Tensor& x) const override {
    Work work;
    together([&] {
      std::vector<at::Tensor> tensors = {x};
      work = (x.is_cpu() ? *host_gradients_ : *device_gradients_).allreduce(tensors);
    });
    return std::make_unique<PendingSum>(*this, std::move(work));
  }

  // Sends and receipts find each other by it.
  int next_tag() const {
    constexpr int kTags = 1 << 20;
    return tag_ = (tag_ + 1) % kTags;
  }

  // After a broken connection: which rank it was, by its last word or its silence.
  std::string who_left(const std::string& fault) const {
    const auto until = steady_clock::now() + milliseconds(6000);
    try {
      std::vector<std::string> before(static_cast<std::size_t>(size()));
      for (int64_t r = 0; r < size(); ++r) before[static_cast<std::size_t>(r)] = beat_of(r);
      while (steady_clock::now() < until) {
        for (int64_t r = 0; r < size(); ++r)
          if (r != rank() && store_->check({key("word", r)}))
            return fmt::format("rank {}: {}", r, text_of(store_->get(key("word", r))));
        std::this_thread::sleep_for(milliseconds(100));
      }
      for (int64_t r = 0; r < size(); ++r)
        if (r != rank() && beat_of(r) == before[static_cast<std::size_t>(r)])
          return fmt::format("rank {} has ended without a word: it was killed, or its machine was lost", r);
    } catch (const std::exception&) {
      return kEndedSilently;
    }
    return fmt::format("rank {} lost the connection with another rank: {}", rank(), fault);
  }

  [[nodiscard]] std::string beat_of(int64_t rank) const {
    const std::string name = key("beat", rank);
    return store_->check({name}) ? text_of(store_->get(name)) : "";
  }

  // Tells every second that this rank lives, and looks whether the others do.
  void keep_watch(const std::function<void(const std::string&)>& lost) {
    struct Seen {
      std::string beat;
      steady_clock::time_point at;
    };
    std::vector<Seen> seen(static_cast<std::size_t>(size()), {"", steady_clock::now()});
    auto looked = steady_clock::now();
    for (int64_t beat = 0;; ++beat) {
      try {
        beats_->set(key("beat", rank()), bytes_of(std::to_string(beat)));
        // Where this process was stopped itself, nobody else's silence means anything.
        const auto now = steady_clock::now();
        const bool slept = now - looked > 5 * kBeat;
        looked = now;
        for (int64_t r = 0; r < (rank() == 0 ? size() : 1); ++r) {
          if (r == rank()) continue;
          Seen& other = seen[static_cast<std::size_t>(r)];
          const std::string name = key("beat", r);
          const std::string text = beats_->check({name}) ? text_of(beats_->get(name)) : "";
          if (text != other.beat || slept) other = {text, now};
          if (now - other.at < silence_) continue;
          if (stops()) return;
          lost(silence_of(r));
          return;
        }
      } catch (const std::exception& error) {
        if (stops()) return;
        // The operations that ranks share fail as well, and tell more; this is for a process that is in none.
        if (rank() != 0) {
          std::unique_lock lock(mutex_);
          const bool stopped = changed_.wait_for(lock, std::chrono::seconds(8), [this] { return stopped_; });
          lock.unlock();
          if (!stopped) lost(kEndedSilently);
          return;
        }
      }
      answered_ = steady_clock::now().time_since_epoch().count();
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kBeat, [this] { return stopped_; })) return;
    }
  }

  // Questions to a rank 0 that hangs have no end.
  void watch_watcher(const std::function<void(const std::string&)>& lost) {
    auto before = steady_clock::now();
    for (std::unique_lock lock(mutex_); !changed_.wait_for(lock, kBeat, [this] { return stopped_; });) {
      const auto now = steady_clock::now();
      if (now - before > 5 * kBeat) answered_ = now.time_since_epoch().count();  // this process was stopped itself
      before = now;
      if (now.time_since_epoch() - steady_clock::duration(answered_) < silence_) continue;
      lock.unlock();
      lost(silence_of(0));
      return;
    }
  }

  [[nodiscard]] std::string silence_of(int64_t rank) const {
    return fmt::format("rank {} has given no sign of life for {} s: it hangs, or its machine cannot be reached", rank,
                       silence_.count());
  }

  bool stops() {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  std::chrono::seconds silence_;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::Store> beats_;  // a connection of the watcher's own
  c10::intrusive_ptr<c10d::Backend> host_, host_gradients_;
  c10::intrusive_ptr<c10d::Backend> device_, device_gradients_;  // null on the CPU
  mutable int tag_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::thread watcher_;
  std::atomic<steady_clock::rep> answered_ = 0;  // when the watcher last came round
  std::thread clock_;                            // that watches the watcher
};

}  // namespace

std::shared_ptr<ProcessRanks> ProcessRanks::meet(const RankEnvironment& environment, const at::Device& device,
                                                 const RankTimes& times) {
  // What c10d warns of when a rank goes, stack traces included, is said better here.
  setenv("TORCH_CPP_LOG_LEVEL", "ERROR", /*overwrite=*/0);
  c10::initLogging();
  RankTimes wanted = times;
  if (const auto seconds = number_of("SILC_RENDEZVOUS_SECONDS")) wanted.meeting = std::chrono::seconds(*seconds);
  return std::make_shared<C10dRanks>(environment, device, wanted);
}

#else

std::shared_ptr<ProcessRanks> ProcessRanks::meet(const RankEnvironment& /*environment*/, const at::Device& /*device*/,
                                                 const RankTimes& /*times*/) {
  throw Error(
      "this silc-engine was built without Gloo, by which ranks talk; install the headers of Gloo (Debian: "
      "libgloo-dev) and build silc again");
}

#endif

}  // namespace silc
