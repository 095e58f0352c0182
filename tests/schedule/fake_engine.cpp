// Stands in for silc-engine where tests are about what silc does with an engine: it speaks the same language, and how
// it behaves is told by $FAKE_ENGINE: "PART=BEHAVIOUR;…", the first whose PART occurs in the run folder's path
// counting.
//   finish    trains, evaluates, finishes (without any rule)
//   sick      as finish, with a warning on the way
//   fail      writes a `failed` event and exits with 1
//   odd       says something on stderr and exits with 3
//   quit      exits with 0 without having finished
//   segv      crashes
//   kill      dies of SIGKILL
//   hang      trains until it is asked to stop, then exits with 130
//   stubborn  trains and does not listen
//   once      the first time as hang, with a checkpoint at the end; after that it finishes
// $FAKE_ENGINE_SCORES: "PART=VALUE;…" in the same way: its acc1, "nan" for one that is not finite. With --until it
// evaluates along training, and pauses.
// $FAKE_ENGINE_PLUGIN: the plugin that it says it is in ('objective "clip"') until it ends well.
// $FAKE_ENGINE_GPUS=N: the machine has N GPUs, of which the engine sees those in $CUDA_VISIBLE_DEVICES. It trains on
// the first, and says in its log what it was given. $FAKE_ENGINE_DATA=missing: no data can be read; hang: reading them
// does not end. $FAKE_ENGINE_PICTURES: "SPLIT=HASH,…;…": what is found there. $FAKE_ENGINE_MEASURE=fail: measuring
// fails. $FAKE_ENGINE_PREFLIGHT: see preflight().
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "files/activity.h"

namespace {

using Json = nlohmann::json;

volatile std::sig_atomic_t stop_requested = 0;

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What the rules of a variable say of a folder; empty: nothing.
std::string rule_for(const char* name, const std::string& folder) {
  std::string rules = variable(name);
  while (!rules.empty()) {
    const std::string rule = rules.substr(0, rules.find(';'));
    rules.erase(0, rule.size() + 1);
    const size_t equals = rule.find('=');
    if (folder.find(rule.substr(0, equals)) != std::string::npos) return rule.substr(equals + 1);
  }
  return "";
}

std::string behaviour_for(const std::string& folder) {
  const std::string behaviour = rule_for("FAKE_ENGINE", folder);
  return behaviour.empty() ? "finish" : behaviour;
}

Json score_for(const std::string& folder) {
  const std::string score = rule_for("FAKE_ENGINE_SCORES", folder);
  if (score == "nan") return nullptr;
  return score.empty() ? 0.625 : std::stod(score);
}

class Events {
 public:
  explicit Events(const std::filesystem::path& folder) : file_(folder / "events.jsonl", std::ios::app) {}
  void write(Json event) {
    event["time"] = now();
    file_ << event.dump() << std::endl;
  }

 private:
  std::ofstream file_;
};

Json step_event(int step) {
  return {{"event", "step"},
          {"step", step},
          {"examples", step * 8},
          {"flops", step * 1e6},
          {"fraction", step / 4.0},
          {"core_seconds", step * 0.1},
          {"seconds", step * 0.1},
          {"rate", 80.0},
          {"lr", 1e-3},
          {"loss", 2.0 / step},
          {"values", {{"loss/contrastive", 2.0 / step}}}};
}

Json metric(const std::string& name, const Json& value) {
  return {{"evaluator", "zero_shot_classification"},
          {"dataset", "shapes"},
          {"weights", "student"},
          {"name", name},
          {"value", value},
          {"n", 100}};
}

void finish(const std::filesystem::path& folder, Events& events) {
  for (int step = 1; step <= 4; ++step) events.write(step_event(step));
  events.write({{"event", "evaluating"},
                {"evaluator", "zero_shot_classification"},
                {"dataset", "shapes"},
                {"weights", "student"}});
  const Json metrics = {metric("acc1", score_for(folder.string())), metric("acc5", 0.875)};
  const Json cost = {{"examples", 32},
                     {"flops", 4e6},
                     {"core_seconds", 0.4},
                     {"seconds", 0.4},
                     {"evaluation_core_seconds", 0.1},
                     {"peak_memory", 50000000},
                     {"parameters", 1000},
                     {"steps", 4},
                     {"device", "cpu"}};
  std::ofstream(folder / "metrics.json") << Json{{"metrics", metrics}, {"cost", cost}}.dump(2);
  events.write({{"event", "finished"}});
}

// Trains and evaluates until that part of its budget.
int pause(const std::filesystem::path& folder, Events& events, double until) {
  const int step = std::max(1, static_cast<int>(std::ceil(4 * until)));
  events.write(step_event(step));
  Json along = step_event(step);
  along["event"] = "evaluated_along";
  along["fraction"] = until;
  along["metrics"] = {metric("acc1", score_for(folder.string()))};
  events.write(along);
  events.write({{"event", "paused"}, {"step", step}});
  return 3;
}

// Names of the GPUs that it sees.
std::vector<std::string> gpus() {
  const std::string number = variable("FAKE_ENGINE_GPUS");
  std::vector<std::string> names;
  for (int i = 0; i < std::atoi(number.c_str()); ++i) names.push_back(std::to_string(i));
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES"); visible != nullptr && !number.empty()) {
    names.clear();
    std::istringstream list(visible);
    for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  }
  return names;
}

int run(const std::filesystem::path& folder, const std::string& threads, const std::string& until) {
  const std::string behaviour = behaviour_for(folder.string());
  std::cout << "threads " << threads << ", CUDA_VISIBLE_DEVICES " << variable("CUDA_VISIBLE_DEVICES")
            << ", SILC_DEVICE_SHARED " << variable("SILC_DEVICE_SHARED") << std::endl;
  std::signal(
      SIGTERM, behaviour == "stubborn" ? SIG_IGN : +[](int) { stop_requested = 1; });
  if (const std::string plugin = variable("FAKE_ENGINE_PLUGIN"); !plugin.empty()) {
    silc::ActivityPage& page = silc::map_activity(folder / "activity");
    std::copy(plugin.begin(), plugin.end(), page.threads[0].text.begin());
    page.threads[0].length = static_cast<uint32_t>(plugin.size());
    page.heartbeats = 1;
  }
  const bool again = behaviour == "once" && std::filesystem::exists(folder / "events.jsonl");
  Events events(folder);
  Json started = {{"event", "started"}, {"pid", getpid()}, {"step", 0}, {"total_steps", 4}};
  if (const auto names = gpus(); !names.empty()) {
    started["device"] = "Fake GPU";
    started["gpu"] = names.front();
  }
  events.write(started);
  if (behaviour == "sick")
    events.write({{"event", "warning"},
                  {"step", 1},
                  {"check", "gradient_vanished"},
                  {"metric", "gradient_norm"},
                  {"value", 0.0},
                  {"message", "gradient_norm 0 (below 0.001 for 30 steps): nothing is learnt any more"}});
  if (behaviour == "finish" && !until.empty()) return pause(folder, events, std::stod(until));
  if (behaviour == "finish" || behaviour == "sick" || again) {
    finish(folder, events);
    return 0;
  }
  if (behaviour == "quit") return 0;
  if (behaviour == "odd") {
    std::cerr << "the moon is in the wrong quarter" << std::endl;
    return 3;
  }
  if (behaviour == "fail") {
    const std::string message = "the loss is not a number at step 2; a smaller optimizer.lr may help";
    events.write({{"event", "failed"}, {"message", message}, {"plugin", nullptr}});
    std::cerr << message << std::endl;
    return 1;
  }
  if (behaviour == "segv") std::raise(SIGSEGV);
  if (behaviour == "kill") std::raise(SIGKILL);
  events.write(step_event(1));
  while (stop_requested == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (behaviour == "once") {
    std::filesystem::create_directories(folder / "checkpoints");
    std::ofstream(folder / "checkpoints/step-00000001.safetensors") << "weights";
    events.write({{"event", "checkpointed"}, {"step", 1}});
  }
  events.write({{"event", "interrupted"}, {"step", 1}});
  return 130;
}

int fingerprint() {
  const Json questions = Json::parse(std::cin);
  auto answers = Json::array();
  for (const Json& question : questions) {
    const auto dataset = question.at("dataset").get<std::string>();
    if (variable("FAKE_ENGINE_DATA") == "hang") std::this_thread::sleep_for(std::chrono::minutes(1));
    if (variable("FAKE_ENGINE_DATA") == "missing")
      answers.push_back({{"error", "dataset \"" + dataset + "\": /data/" + dataset + " is missing; set SILC_DATA"}});
    else
      answers.push_back({{"fingerprint", dataset + "-" + question.at("split").get<std::string>()}});
    if (const auto hashes = rule_for("FAKE_ENGINE_PICTURES", question.at("split")); !hashes.empty()) {
      std::istringstream list(hashes);
      for (std::string hash; std::getline(list, hash, ',');) answers.back()["pictures"].push_back(hash);
      answers.back()["size"] = answers.back()["pictures"].size();
    }
  }
  std::cout << answers.dump() << std::endl;
  return 0;
}

int measure() {
  if (variable("FAKE_ENGINE_MEASURE") == "fail") {
    std::cerr << "silc-engine: batch 128 does not fit into memory" << std::endl;
    return 1;
  }
  Json answer = {{"parameters", 1000},      {"total_steps", 4},      {"total_flops", 4e6},    {"seconds", 30.0},
                 {"peak_memory", 50000000}, {"extrapolated", false}, {"parts", Json::array()}};
  if (!gpus().empty()) {
    answer["device_peak_memory"] = 50'000'000'000;
    answer["device_memory"] = 80'000'000'000;
  }
  std::cout << answer.dump() << std::endl;
  return 0;
}

// A ViT-B/16 that trains for a day; "fail" of $FAKE_ENGINE_COUNT: cannot be counted; "large": needs 100 GB, and a tenth
// of the activations' part of it in chunks.
int count(const std::string& cell) {
  const std::string behaviour = variable("FAKE_ENGINE_COUNT");
  if (behaviour == "fail") {
    std::cerr << "silc-engine: the budget is in core-seconds" << std::endl;
    return 1;
  }
  std::ifstream file(cell);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const bool alone = text.find("ranks = 1\n") != std::string::npos;
  const double in_chunks = text.find("chunk = 0\n") == std::string::npos ? 0.1 : 1;
  const double activations = (behaviour == "large" ? 97e9 : 2e9) * in_chunks;
  auto transfers = Json::array();
  if (!alone)
    transfers = {{{"after", 2e12}, {"bytes", 30'000'000}, {"latencies", 3}, {"beside", false}},
                 {{"after", 8e12}, {"bytes", 1'200'000'000}, {"latencies", 3}, {"beside", true}},
                 {{"after", 10e12}, {"bytes", 1'000'000}, {"latencies", 3}, {"beside", false}}};
  const Json part = {{"from", 0},
                     {"to", 1},
                     {"steps", 10000.0},
                     {"flops_per_step", 10e12},
                     {"rank_flops", 10e12},
                     {"input_bytes", 50'000'000},
                     {"transfers", transfers}};
  std::cout << Json{{"parameters", 150'000'000},
                    {"trained_parameters", 150'000'000},
                    {"total_steps", 10000},
                    {"total_flops", alone ? 1e17 : 8e17},
                    {"precision", "bf16"},
                    {"parts", {part}},
                    {"memory",
                     {{"weights", 600'000'000},
                      {"kept", 0},
                      {"gradients", 600'000'000},
                      {"optimizer", 1'200'000'000},
                      {"buckets", alone ? 0 : 600'000'000},
                      {"activations", activations},
                      {"peak", 3e9 + activations}}},
                    {"checkpoint_bytes", 1'800'000'000}}
                   .dump()
            << std::endl;
  return 0;
}

// Finds nothing, unless $FAKE_ENGINE_PREFLIGHT says otherwise: "fault": the model of every cell; "crash": the objective
// of the first ends the process, "hang": or does not come to an end; "not_applicable": no cell can be evaluated.
int preflight() {
  const auto say = [](const Json& line) { std::cout << line.dump() << std::endl; };
  const Json question = Json::parse(std::cin);
  const std::string behaviour = variable("FAKE_ENGINE_PREFLIGHT");
  const Json& skip = question.at("skip");
  for (std::size_t cell = 0; cell < question.at("cells").size(); ++cell) {
    const std::string item = "cell " + std::to_string(cell);
    if (std::find(skip.begin(), skip.end(), item) != skip.end()) continue;
    say({{"begin", item}, {"title", "a row"}, {"uses", Json::array({{{"cell", cell}, {"key", ""}}})}});
    say({{"in", "objective \"clip\""}, {"key", "objective"}});
    if (behaviour == "crash" && cell == 0) std::raise(SIGSEGV);
    while (behaviour == "hang") std::this_thread::sleep_for(std::chrono::seconds(1));
    if (behaviour == "fault")
      say({{"fault", "image backbone \"vit\": width 64 is not a multiple of heads 5"}, {"key", "model.image"}});
    if (behaviour == "not_applicable")
      say({{"not_applicable", "zero_shot_classification"}, {"cell", cell}, {"reason", "the model sees nothing"}});
  }
  say({{"done", true}});
  return 0;
}

int about() {
  auto devices = Json::array({{{"name", "cpu"}, {"kind", "cpu"}}});
  for (const std::string& name : gpus())
    devices.push_back({{"name", "Fake GPU"},
                       {"kind", "cuda:" + std::to_string(devices.size() - 1)},
                       {"visible", name},
                       {"memory", 80'000'000'000},
                       {"free_memory", 79'000'000'000}});
  Json answer = {{"engine_version", "0.1.0"}, {"torch", "2.13.0"}, {"devices", devices}, {"threads", 2},
                 {"cpu", "Fake CPU"},         {"bf16", true}};
  if (const std::string fault = variable("FAKE_ENGINE_GPU_FAULT"); !fault.empty())
    answer["gpu_fault"] = {{"what", fault}, {"remedy", "install a newer driver"}};
  std::cout << answer.dump() << std::endl;
  return 0;
}

// A check that passes, one that fails, and then as $FAKE_ENGINE_CHECK says: "segv", "exit", "hang", or the end.
int check(const std::string& kind, const std::string& name) {
  const auto say = [](const Json& line) { std::cout << line.dump() << std::endl; };
  say({{"plugin", name}, {"kind", kind}, {"version", 1}, {"library", "x.so"}, {"options", {{"width", 64}}}});
  say({{"begin", "declaration"}});
  say({{"check", "declaration"},
       {"verdict", "passed"},
       {"message", ""},
       {"figures", {{"options", 2}}},
       {"rule", "options.h: help says what an option is for"}});
  say({{"begin", "gradients"}});
  const std::string behaviour = variable("FAKE_ENGINE_CHECK");
  if (behaviour == "segv") std::raise(SIGSEGV);
  if (behaviour == "exit") return 3;
  while (behaviour == "hang") std::this_thread::sleep_for(std::chrono::seconds(1));
  const bool sound = behaviour == "sound";
  say({{"check", "gradients"},
       {"verdict", sound ? "passed" : "failed"},
       {"message", sound ? "" : "along a random direction the loss changes by 2 and the gradient says 1"},
       {"figures", {{"relative_error", sound ? 1e-9 : 0.5}}},
       {"rule", "in double precision, against finite differences"}});
  say({{"check", "teacher"},
       {"verdict", "not applicable"},
       {"message", "it keeps no teacher"},
       {"figures", Json::object()},
       {"rule", "objective.h"}});
  say({{"done", true}});
  return 0;
}

std::string value_of(int argc, char** argv, const std::string& flag) {
  for (int i = 2; i + 1 < argc; ++i)
    if (argv[i] == flag) return argv[i + 1];
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "run")
    return run(value_of(argc, argv, "--folder"), value_of(argc, argv, "--threads"), value_of(argc, argv, "--until"));
  if (command == "fingerprint") return fingerprint();
  if (command == "measure") return measure();
  if (command == "count") return count(value_of(argc, argv, "--cell"));
  if (command == "preflight") return preflight();
  if (command == "about") return about();
  if (command == "check") return check(value_of(argc, argv, "--kind"), value_of(argc, argv, "--name"));
  return 2;
}
