//! What concerns the process: `server`, `log`, `metrics`, `include`, `profile`, `danger_ok`.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use gateway_testing::backend::{Backend, Gate, Script};
use gateway_testing::client::{Http1, Request};
use gateway_testing::conf::{self, Conf};
use gateway_testing::process::Signal;
use gateway_testing::{Gateway, PATIENCE, comes_true, pattern};

use crate::BINARY;
use crate::both::Version;

fn app(backend: &Backend) -> Conf {
    conf::minimal().oap_cluster("app", &backend.address()).proxy_route("/", "app")
}

fn well() -> Backend {
    Backend::oap().script(|_| Script::whole(200, &[], "ok")).start()
}

#[tokio::test]
async fn there_are_as_many_workers_as_it_is_told() {
    for workers in [1, 6] {
        let conf = conf::minimal().set("server.workers", workers.to_string());
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        let tasks = format!("/proc/{}/task", gateway.process().pid());
        // Each listener's bear its name.
        let is_worker = |task: &std::path::Path| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "public")
        };
        let count = || {
            std::fs::read_dir(&tasks)
                .unwrap()
                .filter(|task| is_worker(&task.as_ref().unwrap().path()))
                .count()
        };
        comes_true(&format!("{workers} workers"), || count() == workers).await;
    }
}

#[tokio::test]
async fn its_own_sockets_are_in_the_runtime_folder_which_is_its_owners_alone() {
    let conf = conf::minimal()
        .set("server.runtime_dir", "run-of-its-own")
        .embedded_cluster("objects")
        .object_routes("objects");
    let gateway = Gateway::start(BINARY, &conf.yaml()).await;
    let stored = Version::Http1.ask(&gateway, &Request::post("/api/put", "x")).await;
    assert_eq!(stored.status, 201);
    let folder = gateway.folder().join("run-of-its-own");
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(std::fs::read_dir(&folder).unwrap().count() > 0, "the store's socket");
}

#[tokio::test]
async fn requests_under_way_at_a_stop_have_as_long_as_drain_says() {
    for (drain, served) in [("0s", false), ("60s", true)] {
        let gate = Gate::default();
        let opens = gate.clone();
        let backend = Backend::oap()
            .script(move |_| Script::new().mark("here").wait(&opens).answer(200, &[], "late"))
            .start();
        let gateway = Gateway::start(BINARY, &app(&backend).set("server.drain", drain).yaml()).await;
        let mut client = Http1::connect(gateway.address("public")).await;
        assert!(client.send(&Request::get("/x").http1_bytes()).await);
        backend.wait_for_mark("here").await;
        gateway.signal(Signal::TERM);
        gateway.log_line(|line| line["event"] == "draining").await;
        if !served {
            // It does not wait for what does not come.
            gateway.wait_exit(PATIENCE).await;
        }
        gate.open();
        assert_eq!(client.answer("GET").await.status == 200, served, "{drain}");
    }
}

#[tokio::test]
async fn each_request_has_a_line_of_the_form_that_access_says() {
    let backend = well();
    for access in ["json", "text", "off"] {
        let gateway = Gateway::start(BINARY, &app(&backend).set("log.access", access).yaml()).await;
        let answer = Version::Http1.ask(&gateway, &Request::get("/x")).await;
        let id = answer.field("x-corr-id").unwrap();
        // What is logged later than the request's own line.
        gateway.signal(Signal::TERM);
        gateway.wait_exit(PATIENCE).await;
        let lines: Vec<_> = gateway.log().into_iter().filter(|line| line.text.contains(id)).collect();
        match access {
            "json" => assert_eq!(lines[0].json["status"], 200, "{lines:?}"),
            "text" => assert!(lines[0].json.is_null() && lines[0].text.contains("GET"), "{lines:?}"),
            _ => assert!(lines.is_empty(), "{lines:?}"),
        }
        assert!(lines.len() <= 1, "{lines:?}");
    }
}

#[tokio::test]
async fn such_a_share_of_the_good_answers_has_a_line_and_all_others_do() {
    let backend = Backend::oap()
        .script(|request| Script::whole(if request.path() == "/gone" { 404 } else { 200 }, &[], "ok"))
        .start();
    for (share, least, most) in [("0%", 0, 0), ("50%", 10, 90), ("100%", 100, 100)] {
        let gateway = Gateway::start(BINARY, &app(&backend).set("log.sample_ok", share).yaml()).await;
        let mut client = Http1::connect(gateway.address("public")).await;
        for _ in 0..100 {
            client.request(&Request::get("/x")).await.expect(200, b"ok");
        }
        for _ in 0..5 {
            assert_eq!(client.request(&Request::get("/gone")).await.status, 404);
        }
        drop(client);
        gateway.signal(Signal::TERM);
        gateway.wait_exit(PATIENCE).await;
        let lines = |status: u16| gateway.log().iter().filter(|line| line.json["status"] == status).count();
        let good = lines(200);
        assert!(good >= least && good <= most, "{share}: {good}");
        assert_eq!(lines(404), 5, "{share}");
    }
}

#[tokio::test]
async fn answers_tell_their_times_when_they_are_told_to() {
    let backend = well();
    for (timing, there) in [("true", true), ("false", false)] {
        let gateway = Gateway::start(BINARY, &app(&backend).set("log.server_timing", timing).yaml()).await;
        for version in Version::ALL {
            let answer = version.ask(&gateway, &Request::get("/x")).await;
            assert_eq!(answer.field("server-timing").is_some(), there, "{timing} {version:?}");
        }
    }
}

#[tokio::test]
async fn lines_below_the_level_are_left_out() {
    let gone = well();
    gone.stop_listening().await;
    for (level, at) in [("debug", ["debug", "warn"]), ("warn", ["", "warn"]), ("error", ["", ""])] {
        let conf =
            app(&gone).set("clusters.app.health", "{ interval: 20ms, unhealthy: 2 }").set("log.level", level);
        let gateway = Gateway::start(BINARY, &conf.yaml()).await;
        gateway.readiness_becomes(503).await;
        gateway.signal(Signal::TERM);
        gateway.wait_exit(PATIENCE).await;
        let log = gateway.log();
        let level_of = |words: &str| {
            let line =
                log.iter().find(|line| line.json["message"].as_str().is_some_and(|m| m.contains(words)));
            line.map_or("", |line| line.json["level"].as_str().unwrap_or_default())
        };
        assert_eq!([level_of("check of"), level_of("is unhealthy")], at, "{level}");
    }
}

#[test]
fn the_log_goes_where_it_is_told_to() {
    for (to, on_stdout) in [("stdout", true), ("stderr", false)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, conf::minimal().set("log.to", to).yaml()).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["run", "-c", file.to_str().unwrap()]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child =
            if on_stdout { command.stdout(Stdio::piped()) } else { command.stderr(Stdio::piped()) }
                .spawn()
                .unwrap();
        let out = child.stdout.take().map(|out| Box::new(out) as Box<dyn std::io::Read>);
        let log = out.unwrap_or_else(|| Box::new(child.stderr.take().unwrap()));
        // It ends, without the line, only when the process does.
        let ready = BufReader::new(log).lines().map_while(Result::ok).any(|line| line.contains("\"ready\""));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(ready, "{to}");
    }
}

#[tokio::test]
async fn so_many_tenants_have_series_of_their_own() {
    let backend = well();
    for (most, others) in [("1", true), ("200", false)] {
        let conf = app(&backend)
            .set("metrics.tenants", most)
            .set("tenants.one", "{ identify: [ { address: [192.0.2.1] } ] }")
            .set("tenants.two", "{ identify: [ { address: [192.0.2.2] } ] }");
        let yaml =
            conf.yaml().replacen("\"127.0.0.1:0\" }", "\"127.0.0.1:0\", trusted_addresses: [127.0.0.1] }", 1);
        let gateway = Gateway::start(BINARY, &yaml).await;
        for tenant in [1, 2] {
            let request = Request::get("/x").field("x-forwarded-for", &format!("192.0.2.{tenant}"));
            Version::Http1.ask(&gateway, &request).await.expect(200, b"ok");
        }
        let text = gateway.metrics().await;
        let count = |label: &str| {
            text.lines().any(|line| {
                line.starts_with(&format!("gateway_drr_wait_seconds_count{{tenant=\"{label}\"}}"))
                    && !line.ends_with(" 0")
            })
        };
        assert_eq!(count("other"), others, "{most}: {text}");
        assert_eq!(count("one") && count("two"), !others, "{most}");
    }
}

#[tokio::test]
async fn what_included_files_hold_is_served() {
    let backend = well();
    let more = Conf::default()
        .oap_cluster("more", &backend.address())
        .proxy_route("/more/", "more")
        .set("tenants.more", "{ identify: [ { address: [127.0.0.0/8] } ] }")
        .yaml();
    for (include, status) in [("[\"conf-*.yaml\"]", 200), ("[]", 404)] {
        let conf = conf::minimal().set("include", include);
        let gateway =
            Gateway::builder(BINARY).config(conf.yaml()).file("conf-more.yaml", more.as_str()).start().await;
        let answer = Version::Http1.ask(&gateway, &Request::get("/more/x")).await;
        assert_eq!(answer.status, status, "{include}: {answer:?}");
        let line = gateway.access_line(answer.field("x-corr-id").unwrap()).await;
        assert_eq!(line["tenant"] == "more", status == 200, "{line}");
    }
}

#[tokio::test]
async fn a_safe_bound_is_lifted_by_its_name_and_by_no_profile_that_is_strict() {
    let backend = well();
    let conf = |profile: &str, danger: &str| {
        app(&backend).set("profile", profile).set("danger_ok", danger).set("limits.body.max", "2MiB").yaml()
    };
    let gateway = Gateway::start(BINARY, &conf("default", "[limits.body.max]")).await;
    let large = Request::post("/x", pattern(1_500_000));
    Version::Http1.ask(&gateway, &large).await.expect(200, b"ok");
    for (profile, danger, names) in [
        ("default", "[]", "limits.body.max"),
        ("default", "[limits.rate]", "limits.body.max"),
        ("strict", "[limits.body.max]", "danger_ok"),
    ] {
        let refused = Gateway::builder(BINARY).config(conf(profile, danger)).start_refused().await;
        assert!(refused.0 == Some(2) && refused.1.contains(names), "{profile} {danger}: {refused:?}");
    }
}
