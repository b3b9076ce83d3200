use fred::prelude::*;
use futures::{future::join_all, StreamExt};
use std::collections::BTreeSet;
use std::time::Duration;
use synod_clients::{addresses, check, key, mode, must, pattern, version};

async fn usual(r: &Client) {
    check("set", r.set(key("a"), "1", None, None, false).await, "OK".to_string());
    check("get", r.get(key("a")).await, "1".to_string());
    check("incr", r.incr(key("n")).await, 1);
    check("incr", r.incr(key("n")).await, 2);
    let many: Result<Vec<Option<String>>, Error> = r.mget(vec![key("a"), key("n"), key("none")]).await;
    check("mget", many, vec![Some("1".to_string()), Some("2".to_string()), None]);
    check("expire", r.expire(key("a"), 100, None).await, 1);
    let left: Result<i64, Error> = r.ttl(key("a")).await;
    check("ttl", left.map(|left| left > 0 && left <= 100), true);
    let mut found = BTreeSet::new();
    let mut names = match mode().as_str() {
        "cluster" => r.scan_cluster_buffered(pattern(), Some(100), None).boxed(),
        _ => r.scan_buffered(pattern(), Some(100), None).boxed(),
    };
    while let Some(name) = names.next().await {
        found.insert(must("scan", name).into_string().unwrap_or_default());
    }
    check("scan", Ok::<_, ()>(found), BTreeSet::from([key("a"), key("n")]));
    let transaction = r.multi();
    let _: () = must("multi", transaction.incr(key("n")).await);
    let _: () = must("multi", transaction.set(key("m"), "x", None, None, false).await);
    check("exec", transaction.exec(true).await, (3, "OK".to_string()));
    // What is asked for without waiting is pipelined.
    let replies: Vec<Result<i64, Error>> = join_all((0..100).map(|_| r.incr(key("p")))).await;
    check("pipeline", replies.into_iter().collect::<Result<Vec<i64>, Error>>(), (1..=100).collect());
    check("del", r.del(key("a")).await, 1);
}

#[tokio::main]
async fn main() {
    let urls = addresses();
    let url = match mode().as_str() {
        "cluster" => {
            let others: Vec<String> = urls[1..].iter().map(|address| format!("node={address}")).collect();
            format!("redis-cluster://{}?{}", urls[0], others.join("&"))
        }
        _ => format!("redis://{}", urls[0]),
    };
    // Its default is not to connect again.
    let client = must("connect", Builder::from_config(must("connect", Config::from_url(&url)))
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build());
    must("connect", client.init().await);
    println!("version {}", version("fred"));
    usual(&client).await;
    println!("usual");
    for number in 1.. {
        match client.set::<(), _, _>(key(number), number.to_string(), None, None, false).await {
            Ok(()) => {
                println!("wrote {number}");
                if matches!(client.get::<Option<String>, _>(key("stop")).await, Ok(Some(_))) {
                    break;
                }
            }
            Err(error) => println!("error {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _ = client.quit().await;
    println!("end");
}
