#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Clients leave at any time, and threads are busy: nothing is held, nothing is
# left behind, and whoever stays gets an answer.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

use constant CLIENTS => 240;

my @TUS = ('Tus-Resumable' => '1.0.0');
my $bytes = join '', map { sha256_hex("leave $_") } 1 .. 20_000;  # 1.3 MB


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(adapter => $adapter);

    # one thread, and hardly any may wait for it

    $node->write_file('nginx.conf', $node->configuration
        =~ s/^thread_pool\s+store\s.*;/thread_pool store threads=1
                                                   max_queue=4;/mr);
    $node->start;

    my $folder = $node->data . '/blobs';
    my $upload = $node->post('uploads/n', '', headers => [
        @TUS, 'Upload-Length' => length $bytes,
        'Upload-Metadata' => 'filename YQ==' ])->header('Location');

    srand 7;

    my @open;

    for my $n (1 .. CLIENTS) {
        my $sent = substr $bytes, 0, int rand length $bytes;
        my $told = rand() < 0.3 ? length $sent : length $bytes;

        push @open, rand() < 0.3
            ? $node->begin(PATCH => $upload, body => $sent, headers => [
                  @TUS, 'Content-Length' => $told, 'Upload-Offset' => 0,
                  'Content-Type' => 'application/offset+octet-stream' ])
            : $node->begin(PUT => "blobs/n/$n", body => $sent, headers => [
                  'Content-Length' => $told,
                  rand() < 0.3 ? ('If-None-Match' => '*') : () ]);

        # of those that are open, one leaves

        if (@open > 6) {
            my ($left) = splice @open, int rand @open, 1;
            close $left->{socket};
        }
    }

    close $_->{socket} for @open;

    my @status = map { $_->reply->status } map {
        $node->begin(PUT => "blobs/s/$_", body => substr $bytes, $_) }
        1 .. 30;
    my %count;

    $count{$_}++ for @status;

    is_deeply([ grep { !/^(?:201|503)$/ } sort keys %count ], [],
              "$adapter: who stays is served, or told to come back: "
              . join ', ', map { "$count{$_} times $_" } sort keys %count);

    $node->wait_for(
        sub { !grep { !m{/(?:up|end)-} } glob "$folder/tmp/*" }, 30,
        'the end of temporary files');
    pass("$adapter: of " . CLIENTS . ' that left no file is left');

    is($node->put('blobs/n/after', $bytes)->status, 201,
       'the node serves on');

    my ($items) = $node->list('blobs/n');
    my @torn = grep {
        $_->{etag} ne '"' . sha256_hex($node->get("blobs/n/$_->{key}")->body)
                      . '"' } @$items;

    is_deeply(\@torn, [], 'and all blobs that there are are whole');

    # nothing waits for a client that has gone

    is($node->quit(20), 1, "$adapter: and it ends at once when it is told");
}

done_testing();
