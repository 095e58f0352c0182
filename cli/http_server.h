// A small HTTP server that answers GET and HEAD alone (Boost.Beast). No LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace silc {

struct HttpRequest {
  std::string path;   // decoded: "/part/curves:loss"
  std::string query;  // as it came, without the question mark
  std::string host;   // the header's, without the port
  std::string cookie;
  std::string if_none_match;
};

struct HttpResponse {
  unsigned status = 200;
  std::string type = "text/html; charset=utf-8";
  std::string body = {};
  std::map<std::string, std::string> headers = {};
};

// "a b" of "a%20b"; what is no escape stays.
std::string percent_decoded(const std::string& text);

class HttpServer {
 public:
  // Called by several threads at once. What it throws becomes an answer 500.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // Listens from now on. `address`: "127.0.0.1", "::1", "0.0.0.0"; `port` 0: any that is free. Throws silc::Error that
  // names both if they cannot be had.
  HttpServer(const std::string& address, uint16_t port, Handler handler);
  ~HttpServer();

  [[nodiscard]] uint16_t port() const;
  // Answers until stop(), which another thread or a signal's handler thread calls.
  void run();
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace silc
