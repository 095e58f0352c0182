// Tests that run in several processes, ranks of each other: the test starts its own program again for each of them.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <torch/utils.h>
#include <unistd.h>

#include <ATen/Parallel.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "engine/process_ranks.h"

extern char** environ;

namespace silc::testing {

// A port that was free a moment ago.
inline int free_port() {
  const int socket_number = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (bind(socket_number, reinterpret_cast<sockaddr*>(&address), length) != 0) ADD_FAILURE() << "no port is free";
  getsockname(socket_number, reinterpret_cast<sockaddr*>(&address), &length);
  close(socket_number);
  return ntohs(address.sin_port);
}

// The environment of rank `rank`, as torchrun gives it.
inline std::vector<std::string> rank_variables(int64_t rank, int64_t size, int port) {
  return {"RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(size), "LOCAL_RANK=" + std::to_string(rank),
          "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + std::to_string(port)};
}

// This program again, with the one test that runs. Gives its process id.
inline pid_t start_again(const std::vector<std::string>& variables, const std::filesystem::path& output) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string filter = std::string("--gtest_filter=") + test->test_suite_name() + "." + test->name();
  std::vector<std::string> words = {"/proc/self/exe", filter};
  std::vector<std::string> all(variables);
  for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
  std::vector<char*> arguments, environment;
  for (auto& word : words) arguments.push_back(word.data());
  for (auto& variable : all) environment.push_back(variable.data());
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = -1;
  const int error = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0);
  return child;
}

inline std::string text_in(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// Runs `body` in `size` processes at once; it fails where it fails in one of them.
inline void in_ranks(int64_t size, const std::function<void(const Ranks&)>& body) {
  if (const auto environment = rank_environment()) {
    at::set_num_threads(1);
    const auto others = ProcessRanks::meet(*environment, at::kCPU);
    set_process_ranks(others);
    body(*others);
    others->barrier();
    set_process_ranks(nullptr);
    return;
  }
  const int port = free_port();
  const auto folder = std::filesystem::temp_directory_path() / ("silc-ranks-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::vector<pid_t> children;
  for (int64_t rank = 0; rank < size; ++rank)
    children.push_back(start_again(rank_variables(rank, size, port), folder / std::to_string(rank)));
  for (int64_t rank = 0; rank < size; ++rank) {
    int status = 0;
    waitpid(children[static_cast<std::size_t>(rank)], &status, 0);
    EXPECT_EQ(status, 0) << "rank " << rank << ":\n" << text_in(folder / std::to_string(rank));
  }
  std::filesystem::remove_all(folder);
}

}  // namespace silc::testing
