// silc serve: the page of a report, live.
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "cli/http_server.h"
#include "cli/report.h"
#include "cli/session.h"
#include "registry/page/page.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr uint16_t kPort = 8008;
constexpr int kPortsTried = 20;
constexpr std::string_view kCookie = "silc_token=";

struct ServeOptions {
  ShownOptions shown;
  std::string address = "127.0.0.1";
  std::optional<uint16_t> port;
};

// The page as it stands, made anew when the registry has changed: once a second at most, however many look at it.
class LivePage {
 public:
  LivePage(const Session& session, ShownOptions options)
      : options_(std::move(options)), registries_(open_registries(session)), cache_(make_page_cache()) {
    refresh();
  }

  struct Sent {
    std::string body;
    std::string tag;
  };

  Sent page() {
    const std::scoped_lock lock(mutex_);
    refresh();
    if (sent_.body.empty()) sent_ = tagged(format_live_page(page_));
    return sent_;
  }

  // Which sections there are, each with a number that changes with what it holds.
  Sent state() {
    const std::scoped_lock lock(mutex_);
    refresh();
    return state_;
  }

  // Nothing for a part that the page does not have.
  std::optional<std::string> part(const std::string& id) {
    const std::scoped_lock lock(mutex_);
    refresh();
    for (const auto& [name, html] : sections_)
      if (id == "section:" + name) return html;
    const auto part = std::ranges::find(page_.parts, id, &PagePart::id);
    if (part == page_.parts.end()) return std::nullopt;
    return part->html();
  }

 private:
  static std::string hash(const std::string& text) { return fmt::format("{:016x}", std::hash<std::string>{}(text)); }

  static Sent tagged(std::string body) {
    std::string tag = "\"" + hash(body) + "\"";
    return {.body = std::move(body), .tag = std::move(tag)};
  }

  // What a page depends on: every write, and cells whose silc has died without one.
  std::string version() {
    std::string version;
    for (const OpenRegistry& open : registries_) version += fmt::format("{};", open.registry.version());
    for (const ExperimentSource& source : sources_)
      for (const CellRecord& record : source.registry->cells(source.experiment.name))
        version += static_cast<char>('a' + static_cast<int>(record.state));
    return version;
  }

  void refresh() {
    const auto now = std::chrono::steady_clock::now();
    if (!sections_.empty() && now - checked_ < std::chrono::seconds(1)) return;
    checked_ = now;
    if (!sections_.empty() && version() == version_) return;
    sources_ = find_sources(registries_, options_.experiments);
    version_ = version();
    // Of pictures what is there: making more would take engines the place of those that train.
    page_ = make_page({.sources = sources_,
                       .tables = tables_of(sources_, options_),
                       .live = true,
                       .faults = {{"", "silc report --format html asks the models for pictures"}},
                       .cache = cache_});
    sent_ = {};
    sections_ = {{"head", page_.head}, {"navigation", format_navigation(page_)}};
    for (const PageSection& section : page_.sections)
      if (!section.html.empty()) sections_.emplace_back(section.id, format_section(section));
    auto list = nlohmann::ordered_json::array();
    for (const auto& [id, html] : sections_) list.push_back({id, hash(html)});
    state_ = tagged(nlohmann::ordered_json{{"sections", std::move(list)}}.dump());
    // The next look is a second after this one is done: making the page of a large registry takes about as long.
    checked_ = std::chrono::steady_clock::now();
  }

  ShownOptions options_;
  std::vector<OpenRegistry> registries_;
  std::shared_ptr<PageCache> cache_;
  std::mutex mutex_;  // over all below, and the registries
  std::vector<ExperimentSource> sources_;
  std::chrono::steady_clock::time_point checked_;
  std::string version_;
  Page page_;
  Sent sent_;
  Sent state_;
  std::vector<std::pair<std::string, std::string>> sections_;
};

bool is_loopback(const std::string& address) {
  const bool v4 = address.starts_with("127.") && address.find_first_not_of("0123456789.") == std::string::npos;
  return address == "localhost" || address == "::1" || v4;
}

// 128 bits that nobody guesses.
std::string new_token() {
  std::random_device random;
  std::string token;
  for (int i = 0; i < 4; ++i) token += fmt::format("{:08x}", static_cast<uint32_t>(random()));
  return token;
}

// In a time that does not tell how much of it is right.
bool is_same(std::string_view one, std::string_view other) {
  unsigned difference = one.size() == other.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(one.size(), other.size()); ++i)
    difference |= static_cast<unsigned char>(one[i]) ^ static_cast<unsigned char>(other[i]);
  return difference == 0;
}

// "abc" of "a=b; silc_token=abc".
std::string_view token_of_cookie(std::string_view cookie) {
  const std::size_t at = cookie.find(kCookie);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = cookie.substr(at + kCookie.size());
  return rest.substr(0, rest.find(';'));
}

HttpResponse plain(unsigned status, const std::string& text) {
  return {.status = status, .type = "text/plain; charset=utf-8", .body = text + "\n"};
}

HttpResponse tagged_answer(const HttpRequest& request, LivePage::Sent sent, const std::string& type) {
  HttpResponse answer{.status = 200, .type = type, .body = std::move(sent.body), .headers = {{"ETag", sent.tag}}};
  if (request.if_none_match == sent.tag) answer.status = 304;
  return answer;
}

// `token`: empty where none is asked for, because only this machine is answered.
HttpResponse answer(const HttpRequest& request, LivePage& page, const std::string& token) {
  // A page of others may have its own name point here (DNS rebinding); the browser tells by which it came.
  if (token.empty() && !is_loopback(request.host)) return plain(403, "Ask for this page as 127.0.0.1 or localhost.");
  if (!token.empty()) {
    if (is_same(request.query, "token=" + token) && request.path == "/")
      return {.status = 303,
              .type = "text/plain",
              .headers = {{"Location", "/"},
                          {"Set-Cookie", std::string(kCookie) + token + "; HttpOnly; SameSite=Strict; Path=/"}}};
    if (!is_same(token_of_cookie(request.cookie), token))
      return plain(403, "This page wants the token that silc serve has printed: open the address with it once.");
  }
  if (request.path == "/") return tagged_answer(request, page.page(), "text/html; charset=utf-8");
  if (request.path == "/state") return tagged_answer(request, page.state(), "application/json");
  if (request.path.starts_with("/part/"))
    if (auto html = page.part(request.path.substr(6))) return {.status = 200, .body = std::move(*html)};
  return plain(404, "There is nothing here but the page itself, at /.");
}

// The port that is asked for, or else the first that is free from kPort on.
std::unique_ptr<HttpServer> listen(const ServeOptions& options, const HttpServer::Handler& handler) {
  if (options.port) return std::make_unique<HttpServer>(options.address, *options.port, handler);
  for (int i = 0;; ++i) try {
      return std::make_unique<HttpServer>(options.address, static_cast<uint16_t>(kPort + i), handler);
    } catch (const Error&) {
      if (i + 1 == kPortsTried) throw;
    }
}

std::string address_of(const ServeOptions& options, uint16_t port, const std::string& token) {
  const bool v6 = options.address.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}/{}", v6 ? "[" : "", options.address, v6 ? "]" : "", port,
                     token.empty() ? "" : "?token=" + token);
}

int serve(Session& session, ServeOptions options) {
  if (options.address == "localhost") options.address = "127.0.0.1";
  const std::string token = is_loopback(options.address) ? "" : new_token();
  LivePage page(session, options.shown);
  // Taken by this thread alone, below: threads made from here on leave them to it.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto server = listen(options, [&](const HttpRequest& request) { return answer(request, page, token); });
  session.started = true;
  const std::string address = address_of(options, server->port(), token);
  if (session.json)
    print_json({{"address", address}, {"port", server->port()}});
  else
    print(address + "\n");
  if (!token.empty())
    note(session, "Whoever has this address, and can reach this machine, can read the page. It is not encrypted.");
  std::jthread running([&] { server->run(); });
  int signal = 0;
  sigwait(&signals, &signal);
  server->stop();
  return 0;
}

}  // namespace

void add_serve(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "serve",
      "the page of silc report --format html, live\n\nCells appear and curves grow while runs go on. It only reads, "
      "and answers this machine alone, at the address that it prints, until Ctrl-C. With --host it answers others, "
      "too, who then need the token in that address. From afar: ssh -L 8008:127.0.0.1:8008 HOST.");
  command->footer("silc serve\nsilc serve ablation --port 9000");
  const auto options = std::make_shared<ServeOptions>();
  add_shown_options(*command, options->shown);
  command
      ->add_option("--port", options->port,
                   fmt::format("the port (default: {}, or the next that is free; 0: any)", kPort))
      ->option_text("N");
  command
      ->add_option("--host", options->address,
                   "the address to listen on, as 0.0.0.0 for all of this machine's (default: 127.0.0.1)")
      ->option_text("ADDRESS");
  command->callback(
      [options, &session] { session.command = [options, &session] { return serve(session, *options); }; });
}

}  // namespace silc
