#include "http/server_shared.h"

#include <fmt/format.h>

#include <new>
#include <system_error>

#include "base/json.h"

namespace mlac {

HttpError ToHttpError(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const HttpError& error) {
    return error;
  } catch (const Error& error) {
    return HttpError(KindOf(error.code()).http_status, error.message(), "", error.hint());
  } catch (const std::bad_alloc&) {
    return HttpError(503, "out of memory").Because("out_of_memory");
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again) return HttpError(503, "the system gives no more threads");
    return HttpError(500, "internal error");
  } catch (...) {
    return HttpError(500, "internal error");  // the text of another library may hold anything
  }
}

std::shared_ptr<const TlsContext> ServerShared::CurrentTls() const {
  const std::lock_guard lock(mutex);
  return tls;
}

std::shared_ptr<const ApiKeys> ServerShared::CurrentKeys() const {
  const std::lock_guard lock(mutex);
  return keys;
}

std::string ServerShared::MakeId() { return fmt::format("{}-{:x}", id_prefix, next_id.fetch_add(1, std::memory_order_relaxed)); }

HttpResponse ServerShared::FormatError(const HttpError& error, std::string_view path) const {
  HttpResponse response;
  if (options.format_error) {
    response = options.format_error(error, path);
  } else {
    response.body = "{\"error\":";
    AppendJsonString(response.body, error.what());
    response.body += '}';
  }
  response.status = error.status();
  for (const HttpField& field : error.fields) response.fields.push_back(field);
  response.notes = error.notes;
  response.notes.insert(response.notes.begin(), {"reason", std::string(error.reason())});
  return response;
}

ConnectionSlot::ConnectionSlot(ServerShared& shared) : shared_(&shared) { shared.num_connections.fetch_add(1); }

void ConnectionSlot::Release() {
  if (!shared_) return;
  ServerShared& shared = *std::exchange(shared_, nullptr);
  const std::lock_guard lock(shared.mutex);
  shared.num_connections.fetch_sub(1);
  shared.changed.notify_all();
}

}  // namespace mlac
