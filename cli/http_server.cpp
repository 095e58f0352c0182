#include "cli/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <exception>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "silc/error.h"

namespace silc {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t kThreads = 4;
constexpr std::size_t kMostHeader = 16 * 1024;
constexpr std::chrono::seconds kIdle{30};  // a browser that says nothing, or takes nothing, for so long is let go

std::string text_of(beast::string_view view) { return {view.data(), view.size()}; }

// "localhost" of "localhost:8008", "::1" of "[::1]:8008".
std::string without_port(const std::string& host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

HttpRequest request_of(const http::request<http::empty_body>& message) {
  const std::string target = text_of(message.target());
  const std::size_t question = target.find('?');
  return {.path = percent_decoded(target.substr(0, question)),
          .query = question == std::string::npos ? "" : target.substr(question + 1),
          .host = without_port(text_of(message[http::field::host])),
          .cookie = text_of(message[http::field::cookie]),
          .if_none_match = text_of(message[http::field::if_none_match])};
}

// One connection: reads a request, answers it, reads the next.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const HttpServer::Handler& handler) : stream_(std::move(socket)), handler_(handler) {}

  void read() {
    parser_.emplace();
    parser_->header_limit(kMostHeader);
    parser_->body_limit(0);
    stream_.expires_after(kIdle);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) { self->answer(error); });
  }

 private:
  void answer(beast::error_code error) {
    if (error == http::error::end_of_stream || (error && !parser_->is_header_done())) {
      close();
      return;
    }
    const auto& message = parser_->get();
    response_ = {};
    response_.version(message.version());
    const bool head = message.method() == http::verb::head;
    HttpResponse answer;
    if (error)
      answer = {.status = 413, .type = "text/plain", .body = "A request with a body is not answered.\n"};
    else if (message.method() != http::verb::get && !head)
      answer = {.status = 405,
                .type = "text/plain",
                .body = "This page is only read.\n",
                .headers = {{"Allow", "GET, HEAD"}}};
    else
      answer = answer_of(message);
    response_.result(answer.status);
    response_.set(http::field::content_type, answer.type);
    response_.set("X-Content-Type-Options", "nosniff");
    response_.set("X-Frame-Options", "DENY");
    response_.set("Referrer-Policy", "no-referrer");
    response_.set("Cross-Origin-Resource-Policy", "same-origin");
    if (answer.headers.find("Cache-Control") == answer.headers.end())
      response_.set(http::field::cache_control, "no-cache");
    for (const auto& [name, value] : answer.headers) response_.set(name, value);
    response_.keep_alive(!error && message.keep_alive());
    if (answer.status != 304) response_.content_length(answer.body.size());
    if (!head && answer.status != 304) response_.body() = std::move(answer.body);
    stream_.expires_after(kIdle);
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code fault, std::size_t) {
      if (fault || !self->response_.keep_alive())
        self->close();
      else
        self->read();
    });
  }

  HttpResponse answer_of(const http::request<http::empty_body>& message) {
    try {
      return handler_(request_of(message));
    } catch (const std::exception& error) {
      return {.status = 500, .type = "text/plain; charset=utf-8", .body = std::string(error.what()) + "\n"};
    }
  }

  void close() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  beast::tcp_stream stream_;
  const HttpServer::Handler& handler_;
  beast::flat_buffer buffer_{kMostHeader + 4096};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

std::string percent_decoded(const std::string& text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    const char* first = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(first, first + 2, code, 16).ptr == first + 2) {
      decoded += static_cast<char>(code);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

struct HttpServer::Impl {
  explicit Impl(Handler wanted) : handler(std::move(wanted)) {}

  void accept() {
    acceptor.async_accept(asio::make_strand(context), [this](beast::error_code error, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (!error) std::make_shared<Connection>(std::move(socket), handler)->read();
      accept();
    });
  }

  Handler handler;
  asio::io_context context{static_cast<int>(kThreads)};
  tcp::acceptor acceptor{context};
};

HttpServer::HttpServer(const std::string& address, uint16_t port, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(handler))) {
  beast::error_code error;
  const auto ip = asio::ip::make_address(address, error);
  if (error) throw Error("\"" + address + "\" is no address; name one of this machine's, as 127.0.0.1 or 0.0.0.0");
  const tcp::endpoint endpoint(ip, port);
  impl_->acceptor.open(endpoint.protocol(), error);
  if (!error) impl_->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) impl_->acceptor.bind(endpoint, error);
  if (!error) impl_->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    throw Error("cannot listen on " + address + ", port " + std::to_string(port) + ": " + error.message() +
                "; --port names another, 0 any that is free");
}

HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const { return impl_->acceptor.local_endpoint().port(); }

void HttpServer::run() {
  impl_->accept();
  std::vector<std::jthread> threads;
  for (std::size_t i = 1; i < kThreads; ++i) threads.emplace_back([this] { impl_->context.run(); });
  impl_->context.run();
}

void HttpServer::stop() { impl_->context.stop(); }

}  // namespace silc
