#include "weights/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "silc/error.h"

namespace silc::pickle {
namespace {

using Kind = Value::Kind;

constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kTypes{{
    {"torch DoubleStorage", "F64"},
    {"torch FloatStorage", "F32"},
    {"torch HalfStorage", "F16"},
    {"torch BFloat16Storage", "BF16"},
    {"torch LongStorage", "I64"},
    {"torch IntStorage", "I32"},
    {"torch ShortStorage", "I16"},
    {"torch CharStorage", "I8"},
    {"torch ByteStorage", "U8"},
    {"torch BoolStorage", "BOOL"},
    {"torch.storage UntypedStorage", "U8"},
    {"torch float64", "F64"},
    {"torch float32", "F32"},
    {"torch float16", "F16"},
    {"torch bfloat16", "BF16"},
    {"torch int64", "I64"},
    {"torch int32", "I32"},
    {"torch int16", "I16"},
    {"torch int8", "I8"},
    {"torch uint8", "U8"},
    {"torch bool", "BOOL"},
    {"torch uint16", "U16"},
    {"torch uint32", "U32"},
    {"torch uint64", "U64"},
    {"torch float8_e4m3fn", "F8_E4M3"},
    {"torch float8_e5m2", "F8_E5M2"},
}};

// "F32" of "torch FloatStorage"; empty: no type.
std::string dtype_of(const std::string& global) {
  for (const auto& [name, dtype] : kTypes)
    if (name == global) return std::string(dtype);
  return "";
}

std::optional<std::vector<int64_t>> integers(const Value& value) {
  if (value.kind != Kind::sequence) return std::nullopt;
  std::vector<int64_t> all;
  for (const Value* item : value.items) {
    if (item->kind != Kind::integer) return std::nullopt;
    all.push_back(item->integer);
  }
  return all;
}

}  // namespace

// The stack machine that a pickle is a program of.
class Machine {
 public:
  Machine(Pickle& pickle, std::span<const std::byte> bytes, const std::string& name)
      : pickle_(pickle), bytes_(bytes), name_(name) {}

  const Value* run() {
    while (true) {
      const char code = static_cast<char>(number<uint8_t>());
      if (code == '.') {
        const Value* const result = pop();
        return result;
      }
      step(code);
    }
  }

 private:
  [[noreturn]] void fail(const std::string& fault) const {
    throw Error(name_ + " is no sound pickle: " + fault + " at byte " + std::to_string(at_) +
                "; it is damaged or of another format: fetch or write it again");
  }

  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof(Number)).data(), sizeof(Number));
    return value;
  }

  std::span<const std::byte> take(uint64_t size) {
    if (size > bytes_.size() - at_) fail("it ends too early");
    const auto taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }

  std::string text(uint64_t size) {
    const auto bytes = take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::string line() {
    std::string words;
    for (char c = static_cast<char>(number<uint8_t>()); c != '\n'; c = static_cast<char>(number<uint8_t>())) words += c;
    return words;
  }

  Value* make(Kind kind) {
    constexpr std::size_t kMost = 20'000'000;
    if (pickle_.values_.size() >= kMost) fail("it holds more than 20 million values");
    pickle_.values_.emplace_back().kind = kind;
    return &pickle_.values_.back();
  }

  void push(Value* value) { stack_.push_back(value); }
  void push_integer(int64_t integer, Kind kind = Kind::integer) {
    Value* const value = make(kind);
    value->integer = integer;
    push(value);
  }
  void push_text(std::string words, Kind kind = Kind::text) {
    Value* const value = make(kind);
    value->text = std::move(words);
    push(value);
  }

  Value* top() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("there is nothing on its stack");
    return stack_.back();
  }
  Value* pop() {
    Value* const value = top();
    stack_.pop_back();
    return value;
  }
  // What was pushed since the last mark.
  std::vector<Value*> pop_mark() {
    if (marks_.empty()) fail("a mark is missing");
    std::vector<Value*> values(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return values;
  }

  void push_sequence(const std::vector<Value*>& items) {
    Value* const value = make(Kind::sequence);
    value->items.assign(items.begin(), items.end());
    push(value);
  }
  void push_last(std::size_t count) {
    std::vector<Value*> items(count);
    for (std::size_t i = count; i > 0; --i) items[i - 1] = pop();
    push_sequence(items);
  }
  void append(const std::vector<Value*>& items) {
    Value* const list = top();
    if (list->kind == Kind::sequence || list->kind == Kind::object)
      list->items.insert(list->items.end(), items.begin(), items.end());
    else
      fail("something is appended to what is no list");
  }
  void set(const std::vector<Value*>& items) {
    Value* const dictionary = top();
    if ((dictionary->kind != Kind::dictionary && dictionary->kind != Kind::object) || items.size() % 2 != 0)
      fail("an entry is set of what is no dictionary");
    for (std::size_t i = 0; i < items.size(); i += 2) dictionary->entries.emplace_back(items[i], items[i + 1]);
  }

  Value* recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("it recalls what it has not kept");
    return found->second;
  }
  void keep(uint64_t index) { memo_[index] = top(); }

  // A tensor of what torch._utils._rebuild_tensor_v2 or _v3 are called with; null: that is none.
  Value* tensor_of(const Value& arguments) {
    const auto& items = arguments.items;
    if (items.size() < 4 || items[0]->kind != Kind::storage || items[1]->kind != Kind::integer) return nullptr;
    const auto shape = integers(*items[2]), strides = integers(*items[3]);
    if (!shape || !strides || shape->size() != strides->size()) return nullptr;
    std::string dtype = items[0]->dtype;
    if (items.size() > 6 && items[6]->kind == Kind::global)
      if (const std::string named = dtype_of(items[6]->text); !named.empty()) dtype = named;
    Value* const value = make(Kind::tensor);
    value->tensor = {
        .storage = items[0]->text, .dtype = dtype, .offset = items[1]->integer, .shape = *shape, .strides = *strides};
    return value;
  }

  // An OrderedDict, made empty or of a list of pairs.
  Value* ordered(const Value& arguments) {
    Value* const dictionary = make(Kind::dictionary);
    if (arguments.items.empty()) return dictionary;
    for (const Value* pair : arguments.items[0]->items) {
      if (pair->items.size() != 2) fail("an OrderedDict is made of what is no pair");
      dictionary->entries.emplace_back(pair->items[0], pair->items[1]);
    }
    return dictionary;
  }

  // What would be called is told by its name, and not called.
  void reduce() {
    Value* const arguments = pop();
    const Value* const called = pop();
    if (arguments->kind != Kind::sequence || (called->kind != Kind::global && called->kind != Kind::object))
      fail("something is called that cannot be");
    if (called->text == "torch._utils _rebuild_tensor_v2" || called->text == "torch._utils _rebuild_tensor_v3")
      if (Value* const tensor = tensor_of(*arguments)) return push(tensor);
    if (called->text.starts_with("torch._utils _rebuild_parameter") && !arguments->items.empty())
      return push(const_cast<Value*>(arguments->items[0]));
    if (called->text == "collections OrderedDict") return push(ordered(*arguments));
    const bool a_sequence = called->text == "torch Size" || called->text.starts_with("torch.jit._pickle build_");
    if (a_sequence && arguments->items.size() == 1 && arguments->items[0]->kind == Kind::sequence)
      return push(const_cast<Value*>(arguments->items[0]));
    Value* const object = make(Kind::object);
    object->text = called->text;
    object->items = arguments->items;
    push(object);
  }

  // ("storage", a type, key, device, elements)
  void push_storage() {
    const Value* const id = pop();
    if (id->kind != Kind::sequence || id->items.size() < 3 || id->items[1]->kind != Kind::global ||
        id->items[2]->kind != Kind::text)
      fail("it refers to something that is no storage");
    Value* const value = make(Kind::storage);
    value->text = id->items[2]->text;
    value->dtype = dtype_of(id->items[1]->text);
    push(value);
  }

  // An object's state; attributes of a dictionary, as state dicts have, are nothing.
  void build() {
    const Value* const state = pop();
    Value* const object = top();
    if (object->kind != Kind::object) return;
    if (state->kind == Kind::dictionary)
      object->entries.insert(object->entries.end(), state->entries.begin(), state->entries.end());
    else
      object->items.push_back(state);
  }

  int64_t long_integer(uint64_t size) {
    const auto digits = take(size);
    if (size > 8) return INT64_MAX;  // no extent or offset is so large
    uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(digits[i]) << (8 * i);
    if (size > 0 && size < 8 && (static_cast<uint8_t>(digits[size - 1]) & 0x80) != 0)
      value |= ~uint64_t{0} << (8 * size);
    return static_cast<int64_t>(value);
  }

  void step(char code);
  void step_constant(char code);

  Pickle& pickle_;
  std::span<const std::byte> bytes_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::vector<Value*> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, Value*> memo_;
};

void Machine::step(char code) {
  switch (code) {
    case '\x80':  // PROTO
      take(1);
      return;
    case '\x95':  // FRAME
      take(8);
      return;
    case '(':
      return marks_.push_back(stack_.size());
    case '0':  // POP
      if (!marks_.empty() && marks_.back() == stack_.size())
        marks_.pop_back();
      else
        pop();
      return;
    case '1':
      pop_mark();
      return;
    case '2':  // DUP
      return push(top());
    case ')':
    case ']':
    case '\x8f':  // EMPTY_TUPLE, EMPTY_LIST, EMPTY_SET
      return push(make(Kind::sequence));
    case '}':
      return push(make(Kind::dictionary));
    case 't':
    case 'l':
    case '\x91':  // TUPLE, LIST, FROZENSET
      return push_sequence(pop_mark());
    case '\x85':
      return push_last(1);
    case '\x86':
      return push_last(2);
    case '\x87':
      return push_last(3);
    case 'd': {  // DICT
      const std::vector<Value*> items = pop_mark();
      push(make(Kind::dictionary));
      return set(items);
    }
    case 'a': {
      Value* const item = pop();
      return append({item});
    }
    case 'e':
    case '\x90': {  // APPENDS, ADDITEMS
      const std::vector<Value*> items = pop_mark();
      return append(items);
    }
    case 's': {
      Value* const value = pop();
      Value* const key = pop();
      return set({key, value});
    }
    case 'u': {
      const std::vector<Value*> items = pop_mark();
      return set(items);
    }
    case 'c': {  // GLOBAL
      const std::string module = line();
      return push_text(module + " " + line(), Kind::global);
    }
    case '\x93': {  // STACK_GLOBAL
      const Value* const name = pop();
      const Value* const module = pop();
      return push_text(module->text + " " + name->text, Kind::global);
    }
    case 'R':
    case '\x81':  // REDUCE, NEWOBJ
      return reduce();
    case '\x92': {  // NEWOBJ_EX
      pop();
      return reduce();
    }
    case 'b':
      return build();
    case 'Q':
      return push_storage();
    case 'q':
      return keep(number<uint8_t>());
    case 'r':
      return keep(number<uint32_t>());
    case '\x94':  // MEMOIZE
      return keep(memo_.size());
    case 'h':
      return push(recall(number<uint8_t>()));
    case 'j':
      return push(recall(number<uint32_t>()));
    default:
      return step_constant(code);
  }
}

void Machine::step_constant(char code) {
  switch (code) {
    case 'N':
      return push(make(Kind::none));
    case '\x88':
      return push_integer(1, Kind::boolean);
    case '\x89':
      return push_integer(0, Kind::boolean);
    case 'K':
      return push_integer(number<uint8_t>());
    case 'M':
      return push_integer(number<uint16_t>());
    case 'J':
      return push_integer(number<int32_t>());
    case '\x8a':
      return push_integer(long_integer(number<uint8_t>()));
    case '\x8b':
      return push_integer(long_integer(number<uint32_t>()));
    case 'G': {  // BINFLOAT
      uint64_t bits = number<uint64_t>();
      bits = __builtin_bswap64(bits);
      Value* const value = make(Kind::number);
      value->number = std::bit_cast<double>(bits);
      return push(value);
    }
    case 'X':
    case 'T':
    case 'B':
      return push_text(text(number<uint32_t>()));
    case '\x8c':
    case 'U':
    case 'C':
      return push_text(text(number<uint8_t>()));
    case '\x8d':
    case '\x8e':
    case '\x96':
      return push_text(text(number<uint64_t>()));
    default: {
      --at_;
      fail("the operation " + std::to_string(static_cast<uint8_t>(code)) + " is not known");
    }
  }
}

Pickle::Pickle(std::span<const std::byte> bytes, const std::string& name) {
  value_ = Machine(*this, bytes, name).run();
}

}  // namespace silc::pickle
