//! Volumes told about: pages, tokens, conditions.

use super::{FOREIGN, delete, listed, made, small};
use std::collections::BTreeSet;
use testkit::csi::requests::*;
use testkit::csi::{Answer, Client, PoolKind, Scene};
use tonic::Code;

/// The ids of all pages of at most `most` volumes, in their order. `between` is done after each page.
fn pages(client: &Client, most: i32, mut between: impl FnMut()) -> Vec<String> {
    let mut ids = Vec::new();
    let mut token = String::new();
    loop {
        let page = client.list_volumes(list_volumes(most, &token)).unwrap();
        let count = i32::try_from(page.entries.len()).unwrap();
        assert!(most == 0 || count <= most, "{count} entries for {most}");
        assert!(
            token.is_empty() || count > 0,
            "a page was promised, and is empty"
        );
        let told = page
            .entries
            .into_iter()
            .map(|entry| entry.volume().unwrap());
        ids.extend(told.map(|volume| volume.volume_id));
        token = page.next_token;
        if token.is_empty() {
            return ids;
        }
        assert!(token.len() <= 128 && most > 0 && count == most);
        between();
    }
}

#[test]
fn lv_01_pages_of_any_size_make_up_the_list() {
    let scene = Scene::on(PoolKind::Plain);
    let client = &scene.client;
    assert!(pages(client, 3, || ()).is_empty());
    let made: BTreeSet<String> = (0..7)
        .map(|number| made(client, small(&format!("v-{number}"))).volume_id)
        .collect();
    let whole = pages(client, 0, || ());
    assert_eq!(whole.iter().cloned().collect::<BTreeSet<_>>(), made);
    assert_eq!(whole.len(), made.len());
    for most in [1, 2, 3, 6, 7, 8, 1000, i32::MAX] {
        assert_eq!(pages(client, most, || ()), whole, "in pages of {most}");
    }
}

#[test]
fn lv_01_what_stays_is_told_once_while_others_come_and_go() {
    let scene = Scene::on(PoolKind::Plain);
    let client = &scene.client;
    let stay: BTreeSet<String> = (0..8)
        .map(|number| made(client, small(&format!("stays-{number}"))).volume_id)
        .collect();
    let mut gone = Vec::new();
    for most in [1, 2, 3] {
        let goes = made(client, small("goes")).volume_id;
        gone.push(goes.clone());
        let mut number = 0;
        // The volume that a token names may go, too.
        let told = pages(client, most, || {
            number += 1;
            let comes = made(client, small(&format!("comes-{most}-{number}"))).volume_id;
            delete(client, if number == 1 { &goes } else { &comes });
        });
        let distinct: BTreeSet<String> = told.iter().cloned().collect();
        assert_eq!(distinct.len(), told.len(), "some are told twice");
        assert!(distinct.is_superset(&stay), "some are left out");
    }
    let left = pages(client, 0, || ());
    assert!(gone.iter().all(|id| !left.contains(id)));
}

#[test]
fn lv_01_a_token_outlives_its_volume_and_the_driver() {
    let mut scene = Scene::on(PoolKind::Plain);
    for number in 0..4 {
        made(&scene.client, small(&format!("v-{number}")));
    }
    let whole = pages(&scene.client, 0, || ());
    let page = scene.client.list_volumes(list_volumes(2, "")).unwrap();
    delete(&scene.client, &whole[1]);
    scene.driver.restart();
    let rest = scene
        .client
        .list_volumes(list_volumes(0, &page.next_token))
        .unwrap();
    let rest = rest
        .entries
        .into_iter()
        .map(|entry| entry.volume().unwrap().volume_id);
    assert_eq!(rest.collect::<Vec<_>>(), whole[2..]);
}

#[test]
fn lv_01_a_token_of_somebody_else_is_refused() {
    let scene = Scene::on(PoolKind::Plain);
    let client = &scene.client;
    made(client, small("v"));
    let long = "t".repeat(128);
    let tokens = [
        "0",
        "-1",
        "1",
        "2147483648",
        "99999999999999999999",
        "..",
        "vol-",
        "snap-00",
        " ",
        &long,
    ];
    for token in tokens {
        let answer = client.list_volumes(list_volumes(1, token));
        answer.refused(format!("token {token:?}"), Code::Aborted, "empty one");
    }
    let answer = client.list_volumes(list_volumes(1, &"t".repeat(129)));
    answer.refused("a long token", Code::InvalidArgument, "starting_token");
    for most in [-1, i32::MIN] {
        let answer = client.list_volumes(list_volumes(most, ""));
        answer.refused(most, Code::InvalidArgument, "max_entries");
    }
}

#[test]
fn gv_01_lv_02_a_volume_is_told_with_its_condition() {
    let scene = Scene::on(PoolKind::Xfs);
    let client = &scene.client;
    let id = made(client, small("v")).volume_id;
    let told = || {
        let answer = client.controller_get_volume(get_volume(&id)).unwrap();
        let condition = answer.status.unwrap().volume_condition.unwrap();
        let [entry] = &listed(client)[..] else {
            panic!("one volume");
        };
        let status = entry.status().unwrap();
        assert_eq!(status.volume_condition.as_ref(), Some(&condition));
        assert!(!condition.message.is_empty());
        // Attaching is not offered, so nothing is told of it.
        assert!(status.published_node_ids.is_empty());
        condition
    };
    assert!(!told().abnormal);
    // Somebody was there with rm.
    let pool = scene.pool.path().display();
    scene
        .node
        .sh(&format!("mv {pool}/volumes/{id} {pool}/aside"));
    let lost = told();
    assert!(lost.abnormal && lost.message.contains(&id), "{lost:?}");
    scene
        .node
        .sh(&format!("mv {pool}/aside {pool}/volumes/{id}"));
    assert!(!told().abnormal);

    for id in FOREIGN {
        client
            .controller_get_volume(get_volume(id))
            .refused(id, Code::NotFound, "does not exist");
    }
    client.controller_get_volume(get_volume("")).refused(
        "no id",
        Code::InvalidArgument,
        "volume_id",
    );
}
