# redis-rb (../README.md says what such a program does).
require "redis"

$stdout.sync = true
MODE, ADDRESSES, PREFIX = ARGV
URLS = ADDRESSES.split(",").map { |address| "redis://#{address}" }

def key(name) = "{#{PREFIX}}:#{name}"
def check(got, wanted) = got == wanted || raise("#{got.inspect} instead of #{wanted.inspect}")

def usual(r)
  check(r.set(key("a"), "1"), "OK")
  check(r.get(key("a")), "1")
  check([r.incr(key("n")), r.incr(key("n"))], [1, 2])
  check(r.mget(key("a"), key("n"), key("none")), ["1", "2", nil])
  check(r.expire(key("a"), 100), true)
  check(r.ttl(key("a")) > 0, true)
  check(r.scan_each(match: "*#{PREFIX}*", count: 100).to_a.uniq.sort, [key("a"), key("n")])
  check(r.multi { |t| t.incr(key("n")); t.set(key("m"), "x") }, [3, "OK"])
  check(r.pipelined { |p| 100.times { p.incr(key("p")) } }, (1..100).to_a)
  check(r.del(key("a")), 1)
end

begin
  client = MODE == "cluster" ? Redis.new(cluster: URLS) : Redis.new(url: URLS[0])
  puts "version #{Redis::VERSION}"
  usual(client)
rescue => error
  puts "failed #{error.class} #{error.message} #{error.backtrace.grep(/usual/).first}".tr("\n", " ")
  exit 1
end
puts "usual"
(1..).each do |number|
  begin
    client.set(key(number), number.to_s)
    puts "wrote #{number}"
    break if client.get(key("stop"))
  rescue => error
    puts "error #{error.class} #{error.message}".tr("\n", " ")
  end
  sleep 0.01
end
client.close
puts "end"
