// How the store speaks to SQLite. Included by store*.cc alone.
#pragma once
#include <sqlite3.h>

#include "core/error.h"
#include "profile/store.h"

namespace fdi::profile {

// A prepared statement: bind in order, step, read columns. Throws Error through Store::fail.
class Store::Statement {
 public:
  Statement(Store& store, const char* sql) : store_(store) {
    if (const int code = sqlite3_prepare_v2(store.db_, sql, -1, &statement_, nullptr); code != SQLITE_OK)
      store.fail(code);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int64_t value) { return check(sqlite3_bind_int64(statement_, ++bound_, value)); }
  Statement& bind(int value) { return bind(int64_t{value}); }
  Statement& bind(double value) { return check(sqlite3_bind_double(statement_, ++bound_, value)); }
  Statement& bind(const std::string& text) {
    return check(sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  bool step() {  // true: a row is there
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) store_.fail(code);
    return code == SQLITE_ROW;
  }
  void run() {
    step();
    sqlite3_reset(statement_);
    bound_ = 0;
  }

  int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  double number(int column) { return sqlite3_column_double(statement_, column); }
  std::string text(int column) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr ? "" : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  nlohmann::json parsed(int column) {
    nlohmann::json json = nlohmann::json::parse(text(column), nullptr, false);
    if (json.is_discarded()) store_.fail(SQLITE_CORRUPT);
    return json;
  }

 private:
  Statement& check(int code) {
    if (code != SQLITE_OK) store_.fail(code);
    return *this;
  }
  Store& store_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

// Everything or nothing: rolled back unless committed.
class Store::Transaction {
 public:
  explicit Transaction(Store& store) : store_(store) { store_.execute("BEGIN IMMEDIATE"); }
  ~Transaction() {
    if (open_) try {
        store_.execute("ROLLBACK");
      } catch (const core::Error&) {  // SQLite has rolled back by itself (a full disk)
      }
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    store_.execute("COMMIT");
    open_ = false;
  }

 private:
  Store& store_;
  bool open_ = true;
};

}  // namespace fdi::profile
