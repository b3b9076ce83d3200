use redis::cluster::{cluster_pipe, ClusterClient, ClusterConnection};
use redis::{Client, Commands, Connection, RedisResult};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;
use synod_clients::{addresses, check, key, mode, must, pattern, version};

/// A connection to a cluster has pipelines of its own, and no transactions.
trait Pipelines {
    fn pipelined(&mut self) -> RedisResult<Vec<i64>>;
}

impl Pipelines for Connection {
    fn pipelined(&mut self) -> RedisResult<Vec<i64>> {
        let mut pipeline = redis::pipe();
        for _ in 0..100 {
            pipeline.incr(key("p"), 1);
        }
        pipeline.query(self)
    }
}

impl Pipelines for ClusterConnection {
    fn pipelined(&mut self) -> RedisResult<Vec<i64>> {
        let mut pipeline = cluster_pipe();
        for _ in 0..100 {
            pipeline.incr(key("p"), 1);
        }
        pipeline.query(self)
    }
}

fn usual(r: &mut (impl Commands + Pipelines), node: &mut Connection) {
    check("set", r.set(key("a"), "1"), "OK".to_string());
    check("get", r.get(key("a")), "1".to_string());
    check("incr", r.incr(key("n"), 1), 1);
    check("incr", r.incr(key("n"), 1), 2);
    let many: RedisResult<Vec<Option<String>>> = r.mget(&[key("a"), key("n"), key("none")]);
    check("mget", many, vec![Some("1".to_string()), Some("2".to_string()), None]);
    check("expire", r.expire(key("a"), 100), true);
    let left: RedisResult<i64> = r.ttl(key("a"));
    check("ttl", left.map(|left| left > 0 && left <= 100), true);
    let found: BTreeSet<String> =
        must("scan", node.scan_match(pattern())).map(|name: RedisResult<String>| must("scan", name)).collect();
    check("scan", Ok::<_, ()>(found), BTreeSet::from([key("a"), key("n")]));
    if mode() != "cluster" {
        check("multi", transaction().query(node), (3, "OK".to_string()));
    }
    check("pipeline", r.pipelined(), (1..=100).collect::<Vec<i64>>());
    check("del", r.del(key("a")), 1);
}

fn transaction() -> redis::Pipeline {
    let mut transaction = redis::pipe();
    transaction.atomic().incr(key("n"), 1).set(key("m"), "x");
    transaction
}

/// A connection does not dial again by itself, nor does one to a cluster look for nodes again: the program makes another.
fn run<C: Commands + Pipelines>(connect: impl Fn() -> RedisResult<C>) {
    let url = format!("redis://{}", addresses()[0]);
    let mut node = must("connect", Client::open(url).and_then(|client| client.get_connection()));
    let mut client = must("connect", connect());
    println!("version {}", version("redis"));
    usual(&mut client, &mut node);
    println!("usual");
    for number in 1.. {
        match client.set::<_, _, ()>(key(number), number.to_string()) {
            Ok(()) => {
                println!("wrote {number}");
                if matches!(client.get::<_, Option<String>>(key("stop")), Ok(Some(_))) {
                    break;
                }
            }
            Err(error) => {
                println!("error {error}");
                if error.is_io_error() {
                    client = connect().unwrap_or(client);
                }
            }
        }
        sleep(Duration::from_millis(10));
    }
    println!("end");
}

fn main() {
    let urls: Vec<String> = addresses().iter().map(|address| format!("redis://{address}")).collect();
    if mode() == "cluster" {
        let cluster = must("connect", ClusterClient::new(urls));
        run::<ClusterConnection>(|| cluster.get_connection());
    } else {
        let client = must("connect", Client::open(urls[0].as_str()));
        run::<Connection>(|| client.get_connection());
    }
}
